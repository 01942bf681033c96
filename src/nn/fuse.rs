//! How a run of modules is executed: one after the other, or several as one kernel.
//!
//! The fused way folds a batch norm into the convolution before it, applies the activation while the result is written, and
//! keeps the channels side by side in memory. It is taken on the CPU, wherever nobody wants an output in between: taps
//! always see what PyTorch's hooks would. Measured with libtorch 2.11 on one core of an AVX-512 machine, in GFLOP/s:
//!
//! | convolution, batch 16 | plain | plain, then ReLU | fused |
//! |---|---|---|---|
//! | 3 → 64, 3 × 3 at 224 | 58 | 44 | 99 |
//! | 64 → 256, 1 × 1 at 56 | 78 | 65 | 93 |
//! | 256 → 1024, 1 × 1 at 14 | 98 | 93 | 111 |
//! | 512 → 512, 3 × 3 at 7 | 122 | | 129 |
//! | 1024 → 1024, 3 × 3 at 14 | 121 | 120 | 97 |
//!
//! The last row is the one that [`channels_last_wins`] excepts.
#![allow(clippy::disallowed_methods)] // in place only where nobody else holds the tensor

use super::activation::QUICK;
use super::kernels::{self, Epilogue};
use super::winograd::{self, Ending};
use super::{Activation, Affine, BatchNorm2d, Conv2d, Flow, Function, Module, Parameter, Pass, Strided, Way};
use std::sync::{Mutex, OnceLock, PoisonError};
use tch::{Kind, Tensor};

/// The number of images that weights are laid out for. Other batches use the same layout, so that their size makes no
/// difference to how sums are formed.
pub(super) const PACKED_FOR: i64 = 16;

/// What a module can be in a fused kernel.
pub enum Part<'a> {
    Convolution(Strided<'a>),
    BatchNorm(&'a BatchNorm2d),
    Affine(&'a Affine),
    Activation(Activation),
    Other,
}

/// Runs `modules` in order, each on the output of the one before.
pub fn run(pass: &mut Pass, x: &Tensor, modules: &[&dyn Module]) -> Flow<Tensor> {
    run_all(pass, x, modules, None)
}

/// Runs `modules` in order, and then an activation function that is no module.
pub fn run_then(pass: &mut Pass, x: &Tensor, modules: &[&dyn Module], function: Activation) -> Flow<Tensor> {
    run_all(pass, x, modules, Some(function))
}

fn run_all(pass: &mut Pass, x: &Tensor, modules: &[&dyn Module], function: Option<Activation>) -> Flow<Tensor> {
    let mut y = x.shallow_clone();
    let mut rest = modules;
    while let [first, others @ ..] = rest {
        if let Some((kernel, after)) = Kernel::of(pass, first.part(), others, function) {
            if after > others.len() {
                y = kernel.compute(pass, &y)?;
                rest.iter().try_for_each(|module| pass.pass_over(module.id()))?;
                return Ok(y);
            }
            let [inner @ .., last] = &rest[..=after] else { unreachable!("a kernel has a last module") };
            y = kernel.compute(pass, &y)?;
            inner.iter().try_for_each(|module| pass.pass_over(module.id()))?;
            pass.visit(last.id(), &y)?;
            rest = &others[after..];
        } else {
            y = first.forward(pass, &y)?;
            rest = others;
        }
    }
    match function {
        Some(function) if !pass.is_tracing() => match Epilogue::of(function) {
            Some(epilogue) if pass.is_fused() && kernels::is_unique(&y) => kernels::apply(epilogue, y),
            _ => function.of(&y),
        },
        _ => Ok(y),
    }
}

/// `x + y`, in the memory of `x` if nobody else holds it.
pub fn add(x: Tensor, y: &Tensor) -> Flow<Tensor> {
    if !kernels::is_unique(&x) {
        return Ok(x.f_add(y)?);
    }
    let mut x = x;
    Ok(x.f_add_(y)?)
}

/// `relu(x + y)`, the end of a residual block.
pub fn add_relu(pass: &mut Pass, x: Tensor, y: &Tensor, relu: &Function) -> Flow<Tensor> {
    if !(pass.is_fused() && kernels::is_unique(&x)) {
        return relu.forward(pass, &add(x, y)?);
    }
    let sum = kernels::add_relu(x, y)?;
    pass.visit(relu.id(), &sum)?;
    Ok(sum)
}

/// Several modules as one.
enum Kernel<'a> {
    Convolution { conv: Strided<'a>, norm: Option<&'a BatchNorm2d>, epilogue: Epilogue },
    BatchNorm { norm: &'a BatchNorm2d, epilogue: Epilogue },
    Affine { map: &'a Affine, epilogue: Epilogue },
    QuickGelu { map: &'a Affine },
}

impl<'a> Kernel<'a> {
    /// The longest one that begins with `first`, and how many of the modules after it belong to it, and of the `function`
    /// after these. None if there is none, or if an output in between is wanted.
    fn of(pass: &Pass, first: Part<'a>, others: &[&'a dyn Module], function: Option<Activation>) -> Option<(Kernel<'a>, usize)> {
        if !pass.is_fused() {
            return None;
        }
        let part = |i: usize| match (others.get(i), function) {
            _ if !pass.wants_none_of_next(i + 1) => Part::Other,
            (Some(module), _) => module.part(),
            (None, Some(function)) if i == others.len() => Part::Activation(function),
            (None, _) => Part::Other,
        };
        let epilogue = |i: usize| match part(i) {
            Part::Activation(activation) => Epilogue::of(activation),
            _ => None,
        };
        match first {
            Part::Convolution(conv) => {
                let norm = if let Part::BatchNorm(norm) = part(0) { Some(norm) } else { None };
                let normed = usize::from(norm.is_some());
                let epilogue = epilogue(normed);
                let after = normed + usize::from(epilogue.is_some());
                let epilogue = epilogue.unwrap_or(Epilogue::None);
                (after > 0).then_some((Kernel::Convolution { conv, norm, epilogue }, after))
            }
            Part::BatchNorm(norm) => Some((Kernel::BatchNorm { norm, epilogue: epilogue(0)? }, 1)),
            Part::Affine(map) => match part(0) {
                Part::Activation(Activation::QuickGelu) => Some((Kernel::QuickGelu { map }, 1)),
                _ => Some((Kernel::Affine { map, epilogue: epilogue(0)? }, 1)),
            },
            _ => None,
        }
    }

    fn compute(&self, pass: &Pass, x: &Tensor) -> Flow<Tensor> {
        match *self {
            Kernel::Convolution { conv, norm, epilogue } => convolve(pass, conv, norm, x, epilogue),
            Kernel::BatchNorm { norm, epilogue } => kernels::apply(epilogue, norm.of(x)?),
            Kernel::Affine { map, epilogue } => map.fused(x, epilogue),
            Kernel::QuickGelu { map } => quick_gelu(map.fused(x, Epilogue::None)?),
        }
    }
}

/// `silu(1.702 x) / 1.702`, which is one pass over memory less than PyTorch's three operations.
fn quick_gelu(mut x: Tensor) -> Flow<Tensor> {
    Ok(x.f_mul_scalar_(QUICK)?.f_silu_()?.f_mul_scalar_(1.0 / QUICK)?)
}

/// A convolution with what follows it folded in, made when it is first computed.
#[derive(Debug, Default)]
pub(super) struct Folded {
    direct: OnceLock<Direct>,
    ending: OnceLock<Ending>,
}

/// For oneDNN's kernels.
#[derive(Debug)]
struct Direct {
    /// Laid out for the kernel, if it is channels-last.
    weight: Parameter,
    bias: Option<Parameter>,
    channels_last: bool,
}

impl Direct {
    fn new(call: Strided, norm: Option<&BatchNorm2d>, x: &Tensor) -> Flow<Direct> {
        let Strided { conv, stride } = call;
        let (weight, bias) = match norm {
            Some(norm) => fold(conv, norm).map(|(weight, bias)| (weight, Some(bias)))?,
            None => (conv.weight.shallow_clone(), conv.bias.as_deref().map(Tensor::shallow_clone)),
        };
        let bias = bias.map(Parameter::new);
        if !channels_last_wins(&weight.size(), stride) {
            return Ok(Direct { weight: Parameter::new(weight), bias, channels_last: false });
        }
        let (_, c, h, w) = x.size4()?;
        let weight = kernels::pack_convolution(&weight, call, [PACKED_FOR, c, h, w])?;
        Ok(Direct { weight, bias, channels_last: true })
    }
}

/// What is in `cell`, made if it is empty; of threads that come at once one makes it.
fn once<T>(cell: &OnceLock<T>, make: impl FnOnce() -> Flow<T>) -> Flow<&T> {
    static MAKING: Mutex<()> = Mutex::new(());
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    match cell.get() {
        Some(value) => Ok(value),
        None => {
            let value = make()?;
            Ok(cell.get_or_init(|| value))
        }
    }
}

/// Large kernels over very many channels run in oneDNN's own layout, which it takes for contiguous images only: CORnet-S is
/// made of them. With smaller batches and strides the gain is lost in rearranging, but for the most channels.
fn channels_last_wins(weight: &[i64], stride: i64) -> bool {
    let wide = if stride == 1 { 1024 } else { 2048 };
    !matches!(*weight, [_, c_in, kernel, _] if c_in >= wide && kernel > 1)
}

/// `γ / √(σ² + ε)` and `b' = β + (b − μ) γ / √(σ² + ε)`, in float64.
fn scale_and_bias(conv: &Conv2d, norm: &BatchNorm2d) -> Flow<(Tensor, Tensor)> {
    let double = |tensor: &Tensor| tensor.f_to_kind(Kind::Double);
    let scale = double(&norm.weight)?.f_div(&double(&norm.running_var)?.f_add_scalar(norm.eps)?.f_sqrt()?)?;
    let centre = match conv.bias.as_deref() {
        Some(bias) => double(bias)?.f_sub(&double(&norm.running_mean)?)?,
        None => double(&norm.running_mean)?.f_neg()?,
    };
    let bias = double(&norm.bias)?.f_add(&centre.f_mul(&scale)?)?;
    Ok((scale, bias))
}

/// `W' = W γ / √(σ² + ε)` and `b'`, in float64.
fn fold(conv: &Conv2d, norm: &BatchNorm2d) -> Flow<(Tensor, Tensor)> {
    let (scale, bias) = scale_and_bias(conv, norm)?;
    let weight = conv.weight.f_to_kind(Kind::Double)?.f_mul(&scale.f_view([-1, 1, 1, 1])?)?;
    Ok((weight.f_to_kind(Kind::Float)?, bias.f_to_kind(Kind::Float)?))
}

/// The convolution of `x` `[N, C, H, W]`, and the batch norm and activation that follow it.
pub(super) fn convolve(pass: &Pass, call: Strided, norm: Option<&BatchNorm2d>, x: &Tensor, epilogue: Epilogue) -> Flow<Tensor> {
    let folded = norm.map_or(&call.conv.alone, |norm| &norm.folded);
    if pass.way() == Way::Winograd && winograd::takes(call) {
        return by_winograd(call, norm, folded, x, epilogue);
    }
    directly(call, norm, folded, x, epilogue)
}

fn directly(call: Strided, norm: Option<&BatchNorm2d>, folded: &Folded, x: &Tensor, epilogue: Epilogue) -> Flow<Tensor> {
    let Direct { weight, bias, channels_last } = once(&folded.direct, || Direct::new(call, norm, x))?;
    if *channels_last {
        return kernels::convolution(x, weight, bias.as_deref(), call, epilogue);
    }
    let y = call.plain(&x.f_contiguous()?, weight, bias.as_deref())?;
    kernels::channels_last(&kernels::apply(epilogue, y)?)
}

/// With fewer multiplications. An image with outputs that are not finite is computed directly: a number that is too large spoils all
/// outputs of its tile, where the direct sums that do not look at it are finite.
fn by_winograd(call: Strided, norm: Option<&BatchNorm2d>, folded: &Folded, x: &Tensor, epilogue: Epilogue) -> Flow<Tensor> {
    let transformed = once(&call.conv.transformed, || winograd::transform(&call.conv.weight))?;
    let ending = once(&folded.ending, || ending(call.conv, norm))?;
    let relu = epilogue == Epilogue::Relu;
    let (y, finite) = winograd::convolve(call, &kernels::channels_last(x)?, transformed, ending, relu)?;
    let y = kernels::apply(if relu { Epilogue::None } else { epilogue }, y)?;
    for image in (0..).zip(&finite).filter_map(|(image, finite)| (!finite).then_some(image)) {
        let alone = directly(call, norm, folded, &x.f_narrow(0, image, 1)?, epilogue)?;
        y.f_narrow(0, image, 1)?.f_copy_(&alone)?;
    }
    Ok(y)
}

/// What follows the sums over weights as they are.
fn ending(conv: &Conv2d, norm: Option<&BatchNorm2d>) -> Flow<Ending> {
    let (scale, bias) = match norm {
        Some(norm) => scale_and_bias(conv, norm)?,
        None => {
            let like = conv.weight.f_new_ones([conv.weight.size()[0]], (Kind::Float, tch::Device::Cpu))?;
            let bias = conv.bias.as_deref().map_or_else(|| like.f_zeros_like(), |bias| Ok(bias.shallow_clone()))?;
            (like, bias)
        }
    };
    Ending::new(&scale, &bias)
}

/// In a dry run: as [`convolve`], shape alone.
pub(super) fn blank_convolution(Strided { conv, stride }: Strided, x: &Tensor) -> Flow<Tensor> {
    let ((n, c, h, w), kernel) = (x.size4()?, conv.weight.size());
    let groups = conv.options.groups;
    let out = |side: i64, axis: usize| (side + 2 * conv.padding[axis] - kernel[2 + axis]).div_euclid(stride) + 1;
    let (h_out, w_out) = (out(h, 0), out(w, 1));
    if kernel[1] < 1 || c != kernel[1] * groups || kernel[0] % groups != 0 || h_out < 1 || w_out < 1 {
        return Err(super::Halt::Failed(anyhow::anyhow!("no convolution of {c} × {h} × {w} with a kernel of {kernel:?}")));
    }
    blank(x, &[n, kernel[0], h_out, w_out])
}

/// In a dry run: as a linear map with weights of this `shape`, shape alone.
pub(super) fn blank_map(x: &Tensor, [d_out, d_in]: [i64; 2]) -> Flow<Tensor> {
    let mut size = x.size();
    match size.last_mut() {
        Some(last) if *last == d_in => *last = d_out,
        _ => return Err(super::Halt::Failed(anyhow::anyhow!("no map of {size:?} by weights of [{d_out}, {d_in}]"))),
    }
    blank(x, &size)
}

/// Zeros that take no memory, of the kind and on the device of `like`.
pub(super) fn blank(like: &Tensor, size: &[i64]) -> Flow<Tensor> {
    Ok(Tensor::f_zeros([] as [i64; 0], (like.kind(), like.device()))?.f_expand(size, false)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::winograd::tests::numbers;
    use crate::nn::{Conv, Scope, conv2d};
    use tch::Device;

    fn tensor() -> Tensor {
        Tensor::from_slice(&[1.0f32, -2.0, 3.0]).to_device(Device::Cpu)
    }

    #[test]
    fn what_somebody_else_holds_is_not_overwritten() {
        let (one, minus) = (tensor(), Tensor::from_slice(&[1.0f32, 1.0, -5.0]));
        let kept = one.shallow_clone();
        assert!(add(one, &minus).unwrap().equal(&Tensor::from_slice(&[2.0f32, -1.0, -2.0])));
        assert!(kept.equal(&tensor()));
        let whole = tensor();
        let part = whole.narrow(0, 0, 2);
        let _ = add(part, &minus.narrow(0, 0, 2)).unwrap();
        assert!(whole.equal(&tensor()));
        let alone = tensor();
        let memory = alone.data_ptr();
        assert_eq!(add(alone, &minus).unwrap().data_ptr(), memory);
    }

    /// An image with a number that is none, or too large for its tile, is what the definition gives, and the others stay.
    #[test]
    fn what_is_not_finite_is_where_the_definition_has_it() {
        let cpu = (Kind::Float, Device::Cpu);
        let options = Conv { padding: 1, ..Conv::default() };
        let conv = |s: Scope| conv2d(s, 40, 48, 3, options);
        let shapes = [("weight", vec![48, 40, 3, 3]), ("bias", vec![48])];
        let weights = shapes.map(|(name, shape)| (name.to_owned(), numbers(1, &shape)));
        let (conv, _) = Scope::build(Some(weights.into()), cpu, conv).unwrap();
        let call = conv.with_stride(1);
        let x = numbers(2, &[3, 40, 9, 9]);
        let fast = |x: &Tensor| by_winograd(call, None, &conv.alone, x, Epilogue::Relu).unwrap();
        let healthy = fast(&x);
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 2e38] {
            let ill = x.copy();
            let _ = ill.get(1).get(39).get(4).get(8).fill_(value);
            let (y, expected) = (fast(&ill), call.plain(&ill, &conv.weight, conv.bias.as_deref()).unwrap().relu());
            assert!(y.isnan().equal(&expected.isnan()) && y.isinf().equal(&expected.isinf()), "{value}");
            assert!([0, 2].iter().all(|&image| y.get(image).equal(&healthy.get(image))), "{value}");
        }
    }

    #[test]
    fn a_tensor_that_repeats_its_values_is_not_overwritten() {
        let repeated = Tensor::from(1.0f32).expand([3], false);
        assert!(add(repeated, &tensor()).unwrap().equal(&Tensor::from_slice(&[2.0f32, -1.0, 4.0])));
    }

    #[test]
    fn quick_gelu_is_that_of_clip() {
        let x = Tensor::linspace(-20.0, 20.0, 401, (Kind::Float, Device::Cpu));
        let expected = x.f_mul(&x.f_mul_scalar(1.702).unwrap().sigmoid()).unwrap();
        let error = (quick_gelu(x.copy()).unwrap() - expected).abs().max().double_value(&[]);
        assert!(error < 2e-6, "{error}");
    }
}
