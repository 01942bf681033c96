//! Convolutions 3 × 3 of stride 1 with up to four times fewer multiplications: Winograd's F(4 × 4, 3 × 3), by Toom's and Cook's
//! polynomials (Lavin & Gray 2016, arXiv 1509.09308). The kernel is `csrc/winograd.cpp`, which gives its formulas.
//!
//! Weights are transformed in float64 and rounded once. Networks are nearer to float64 so than by oneDNN's direct kernels
//! (`docs/numbers.md`). A row's sums depend on nothing beside it, whatever the size of the batch and the number of threads.
#![allow(unsafe_code)] // calls into C++, reasoned at each
#![allow(clippy::disallowed_methods)] // in place only where nobody else holds the tensor

use super::{Flow, Parameter, Strided};
use std::sync::LazyLock;
use tch::{Device, Kind, Tensor};

/// Images `[n, h, w, c]` and a convolution to `k` channels with `padding` zeros on each side, as the kernel takes it.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Convolution {
    n: i64,
    h: i64,
    w: i64,
    c: i64,
    k: i64,
    padding: i64,
}

/// What a kernel is given: its part of the tiles of a convolution, and where tensors lie.
#[repr(C)]
struct Task {
    convolution: Convolution,
    x: *const f32,
    weights: *const f32,
    scale: *const f32,
    bias: *const f32,
    relu: bool,
    first: i64,
    end: i64,
    y: *mut f32,
    scratch: *mut u8,
    finite: *mut bool,
}

#[cfg(target_arch = "x86_64")]
unsafe extern "C" {
    fn thingsvision_winograd_avx512(task: *const Task);
    fn thingsvision_winograd_avx512_scratch(convolution: *const Convolution) -> usize;
    fn thingsvision_winograd_avx2(task: *const Task);
    fn thingsvision_winograd_avx2_scratch(convolution: *const Convolution) -> usize;
}

/// The kernel for the vector instructions of a processor.
#[derive(Clone, Copy)]
struct Kernel {
    run: unsafe extern "C" fn(task: *const Task),
    scratch_bytes: unsafe extern "C" fn(convolution: *const Convolution) -> usize,
}

/// Those that this processor can run, the widest vectors first.
#[cfg(target_arch = "x86_64")]
fn kernels() -> Vec<Kernel> {
    let mut kernels = Vec::new();
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl") && is_x86_feature_detected!("avx512dq") {
        kernels.push(Kernel { run: thingsvision_winograd_avx512, scratch_bytes: thingsvision_winograd_avx512_scratch });
    }
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        kernels.push(Kernel { run: thingsvision_winograd_avx2, scratch_bytes: thingsvision_winograd_avx2_scratch });
    }
    kernels
}

#[cfg(not(target_arch = "x86_64"))]
fn kernels() -> Vec<Kernel> {
    Vec::new()
}

/// That of this processor, if there is one.
static KERNEL: LazyLock<Option<Kernel>> = LazyLock::new(|| kernels().first().copied());

/// With 32 channels, in or out, it was 1.7 to 2.6 times as fast as direct sums; fewer were not measured.
const FEWEST_CHANNELS: i64 = 32;

/// Whether a convolution with `weight` `[K, C, 3, 3]` is computed so, by its shape and this processor alone.
pub(super) fn takes(call: Strided) -> bool {
    let Strided { conv, stride } = call;
    let fits = matches!(conv.weight.size()[..], [k, c, 3, 3] if k >= FEWEST_CHANNELS && c >= FEWEST_CHANNELS);
    fits && stride == 1 && conv.options.groups == 1 && conv.padding[0] == conv.padding[1] && KERNEL.is_some()
}

/// The points that the polynomials are known at, beside 0 and ∞: of those tried they round least.
const POINTS: [f64; 4] = [0.625, -0.625, 1.5, -1.5];

/// `G` `[6, 3]`: a row of three weights at each point, divided by the product of its distances from the others.
fn matrix() -> Tensor {
    let [near, _, far, _] = POINTS;
    let mut rows = vec![[1.0 / (near * near * far * far), 0.0, 0.0]];
    rows.extend(POINTS.iter().map(|point| {
        let others = POINTS.iter().filter(|other| *other != point).map(|other| point - other);
        let distances = point * others.product::<f64>();
        [1.0 / distances, point / distances, point * point / distances]
    }));
    rows.push([0.0, 0.0, 1.0]);
    Tensor::from_slice(&rows.concat()).view([6, 3])
}

/// Output channels that the kernel takes together.
const PANEL: i64 = 32;

/// What input channels are rounded up to.
const LANES: i64 = 16;

/// The bytes of transformed weights.
pub(super) fn transformed_bytes(weight: &[i64]) -> usize {
    let up = |size: i64, step: i64| (size as usize).div_ceil(step as usize).saturating_mul(step as usize);
    up(weight[0], PANEL).saturating_mul(up(weight[1], LANES)).saturating_mul(36 * 4)
}

/// `G g Gᵀ` of `weight` `[K, C, 3, 3]`, as the kernel reads it: `[K / 32, 36, C, 32]`, with zeros where there are no channels.
pub(super) fn transform(weight: &Tensor) -> Flow<Parameter> {
    let (k, c, _, _) = weight.size4()?;
    let both = matrix().f_kron(&matrix())?;
    let (panels, channels) = ((k + PANEL - 1) / PANEL, (c + LANES - 1) / LANES * LANES);
    let transformed = Tensor::f_zeros([panels, 36, channels, PANEL], (Kind::Float, Device::Cpu))?;
    for panel in 0..panels {
        let outputs = PANEL.min(k - panel * PANEL);
        let weights = weight.f_narrow(0, panel * PANEL, outputs)?.f_to_kind(Kind::Double)?.f_reshape([outputs * c, 9])?;
        let points = both.f_matmul(&weights.f_tr()?)?.f_view([36, outputs, c])?.f_transpose(1, 2)?;
        let mut place = transformed.f_get(panel)?.f_narrow(1, 0, c)?.f_narrow(2, 0, outputs)?;
        place.f_copy_(&points)?;
    }
    Ok(Parameter::new(transformed))
}

/// What becomes of sums on the way out: `sums · scale + bias`, `[K]` each, with zeros up to a multiple of 32.
#[derive(Debug)]
pub(super) struct Ending {
    scale: Parameter,
    bias: Parameter,
}

impl Ending {
    pub(super) fn new(scale: &Tensor, bias: &Tensor) -> Flow<Ending> {
        let missing = (-scale.size1()?).rem_euclid(PANEL);
        let padded = |tensor: &Tensor| tensor.f_to_kind(Kind::Float)?.f_constant_pad_nd([0, missing]);
        Ok(Ending { scale: Parameter::new(padded(scale)?), bias: Parameter::new(padded(bias)?) })
    }
}

/// The convolution of `x` `[N, C, H, W]`, channels-last, with `transformed` weights, ended so; and of each image whether all
/// outputs are finite. Where they are not, direct sums may be: they are to be computed in the order of their definition.
pub(super) fn convolve(
    call: Strided,
    x: &Tensor,
    transformed: &Tensor,
    ending: &Ending,
    relu: bool,
) -> Flow<(Tensor, Vec<bool>)> {
    convolve_by(KERNEL.expect("asked before weights are transformed"), call, x, transformed, ending, relu)
}

fn convolve_by(
    kernel: Kernel,
    call: Strided,
    x: &Tensor,
    transformed: &Tensor,
    ending: &Ending,
    relu: bool,
) -> Flow<(Tensor, Vec<bool>)> {
    let (n, c, h, w) = x.size4()?;
    let (k, padding) = (call.conv.weight.size()[0], call.conv.padding[0]);
    let (h_out, w_out) = (h + 2 * padding - 2, w + 2 * padding - 2);
    let channels_last = [h * w * c, 1, w * c, c];
    let lies_so =
        x.size().iter().zip(x.stride()).zip(channels_last).all(|((size, stride), expected)| *size == 1 || stride == expected);
    let fits = lies_so && x.kind() == Kind::Float && x.device() == Device::Cpu && c == call.conv.weight.size()[1];
    if !fits || h_out < 1 || w_out < 1 {
        return Err(super::Halt::Failed(anyhow::anyhow!("no convolution 3 × 3 of {:?} {:?}", x.kind(), x.size())));
    }
    let y = Tensor::f_empty([n, h_out, w_out, k], (Kind::Float, Device::Cpu))?;
    let convolution = Convolution { n, h, w, c, k, padding };
    let (tiles, threads) = (n * ((h_out + 3) / 4) * ((w_out + 3) / 4), i64::from(tch::get_num_threads()).max(1));
    let parts = threads.min(tiles / 16).max(1);
    let pointers = Pointers {
        x: x.data_ptr().cast(),
        weights: transformed.data_ptr().cast(),
        scale: ending.scale.data_ptr().cast(),
        bias: ending.bias.data_ptr().cast(),
        y: y.data_ptr().cast(),
    };
    // SAFETY: reads the sizes alone.
    let scratch_bytes = unsafe { (kernel.scratch_bytes)(&raw const convolution) };
    let part = |part: i64| -> Flow<Vec<bool>> {
        let pointers = &pointers;
        let scratch = Tensor::f_empty([scratch_bytes as i64], (Kind::Uint8, Device::Cpu))?;
        let mut finite = vec![true; n as usize];
        // SAFETY: the tensors live during the call, are of the sizes that `convolution` tells (`x` was looked at, the others are made
        // here), and lie at multiples of 64 bytes, as all of libtorch; parts write into tiles of their own.
        unsafe {
            let (first, end) = (tiles * part / parts, tiles * (part + 1) / parts);
            let Pointers { x, weights, scale, bias, y } = *pointers;
            let (scratch, finite) = (scratch.data_ptr().cast(), finite.as_mut_ptr());
            let task = Task { convolution, x, weights, scale, bias, relu, first, end, y, scratch, finite };
            (kernel.run)(&raw const task);
        }
        Ok(finite)
    };
    let finite = if parts == 1 { part(0)? } else { together(parts, &part)? };
    Ok((y.f_permute([0, 3, 1, 2])?, finite))
}

/// Where tensors lie that several threads read, or write each at places of its own.
#[derive(Clone, Copy)]
struct Pointers {
    x: *const f32,
    weights: *const f32,
    scale: *const f32,
    bias: *const f32,
    y: *mut f32,
}

// SAFETY: see `convolve`, which alone makes one.
unsafe impl Sync for Pointers {}

/// All parts, each on a thread of its own, which has the settings of this one; whether an image is finite in every part.
fn together(parts: i64, part: &(dyn Fn(i64) -> Flow<Vec<bool>> + Sync)) -> Flow<Vec<bool>> {
    let found: Vec<Vec<bool>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..parts).map(|number| scope.spawn(move || part(number))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a part does not panic")).collect::<Flow<_>>()
    })?;
    Ok((0..found[0].len()).map(|image| found.iter().all(|finite| finite[image])).collect())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::nn::{Conv, Conv2d, Scope, conv2d};

    const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

    /// Numbers from −1 to 1 without order; libtorch's generator is that of other tests.
    pub(crate) fn numbers(seed: i64, shape: &[i64]) -> Tensor {
        let counts = Tensor::arange(shape.iter().product::<i64>(), (Kind::Double, Device::Cpu));
        let chaos = ((counts * 12.9898 + seed as f64 * 78.233).sin() * 43758.5453).frac();
        chaos.to_kind(Kind::Float).reshape(shape)
    }

    /// Of the largest output, of inputs as a ReLU leaves them.
    const TOLERANCE: f64 = 4e-6;

    fn conv(c: i64, k: i64, padding: i64) -> Conv2d {
        let options = Conv { padding, ..Conv::default() };
        let weights = [("weight", numbers(c, &[k, c, 3, 3]) / (3.0 * c as f64).sqrt()), ("bias", numbers(k, &[k]))];
        let state = weights.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect();
        Scope::build(Some(state), CPU, |s| conv2d(s, c, k, 3, options)).unwrap().0
    }

    /// By each kernel of this processor, and by definition in float64.
    fn both(conv: &Conv2d, x: &Tensor, relu: bool) -> (Vec<(Tensor, Vec<bool>)>, Tensor) {
        let call = conv.with_stride(1);
        let bias = conv.bias.as_deref().unwrap();
        let (transformed, ending) = (transform(&conv.weight).unwrap(), Ending::new(&bias.ones_like(), bias).unwrap());
        let x = crate::nn::kernels::channels_last(x).unwrap();
        let found = kernels().into_iter().map(|kernel| convolve_by(kernel, call, &x, &transformed, &ending, relu).unwrap());
        let double = |tensor: &Tensor| tensor.to_kind(Kind::Double);
        let y = double(&x).f_conv2d(&double(&conv.weight), Some(double(bias)), [1, 1], conv.padding, [1, 1], 1).unwrap();
        (found.collect(), if relu { y.relu() } else { y })
    }

    fn check([n, h, w]: [i64; 3], [c, k]: [i64; 2], padding: i64, relu: bool) {
        let (conv, x) = (conv(c, k, padding), numbers(n + h + w, &[n, c, h, w]).relu());
        let (found, expected) = both(&conv, &x, relu);
        let scale = expected.abs().max().double_value(&[]).max(1e-3);
        for (y, finite) in found {
            assert_eq!(y.size(), expected.size());
            let error = (y - &expected).abs().max().double_value(&[]) / scale;
            assert!(error < TOLERANCE, "{n} × {h} × {w}, {c} to {k} channels, padding {padding}: {error:e}");
            assert!(finite.iter().all(|finite| *finite));
        }
    }

    #[test]
    fn outputs_are_those_of_the_definition_in_float64() {
        for h in 1..=15 {
            check([h % 3 + 1, h, 16 - h], [h * 7 % 50 + 1, h * 11 % 70 + 1], 1, h % 2 == 0);
        }
        (1..=17).for_each(|n| check([n, 7, 7], [40, 33], 1, true));
        [0, 2, 3].iter().for_each(|&padding| check([2, 9, 11], [37, 48], padding, false));
        // Many channels are taken a row of points at a time.
        (1..=8).for_each(|side| check([2, side, 9 - side], [257 + side, 40], 1, side % 2 == 1));
        check([17, 7, 7], [300, 50], 1, true);
        check([1, 224, 224], [16, 32], 1, true);
    }

    #[test]
    fn shapes_drawn_at_random_hold_as_well() {
        for number in 0..150 {
            let drawn = numbers(number, &[20]) * 5e8 + 5e8;
            let mut drawn = (0..).map(|i| drawn.double_value(&[i]) as i64);
            let mut draw = |below: i64| drawn.next().unwrap() % below;
            let wide = draw(8) == 0;
            let c = if wide { 256 + draw(200) } else { 1 + draw(100) };
            check([1 + draw(4), 1 + draw(20), 1 + draw(20)], [c, 1 + draw(100)], 1 + draw(2), draw(2) == 0);
        }
    }

    #[test]
    fn a_row_depends_neither_on_its_neighbours_nor_on_threads() {
        for (c, side) in [(40, 30), (300, 9)] {
            let (conv, x) = (conv(c, 70, 1), numbers(1, &[5, c, side, side]));
            let all = |x: &Tensor| both(&conv, x, true).0.into_iter().map(|(y, _)| y).collect::<Vec<_>>();
            let whole = all(&x);
            for first in 0..5 {
                for size in 1..=5 - first {
                    let part = all(&x.narrow(0, first, size));
                    assert!(part.iter().zip(&whole).all(|(part, whole)| part.equal(&whole.narrow(0, first, size))));
                }
            }
            tch::set_num_threads(3);
            assert!(all(&x).iter().zip(&whole).all(|(y, whole)| y.equal(whole)));
            tch::set_num_threads(1);
        }
    }

    #[test]
    fn what_is_not_finite_is_told_of_its_image_alone() {
        for c in [40, 300] {
            for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 3e38] {
                let (conv, x) = (conv(c, 33, 1), Tensor::ones([3, c, 9, 9], CPU));
                let _ = x.get(1).get(c - 1).get(8).get(2).fill_(value);
                for (_, finite) in both(&conv, &x, true).0 {
                    assert_eq!(finite, [true, false, true], "{value}");
                }
            }
        }
    }
}
