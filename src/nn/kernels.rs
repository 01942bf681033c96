//! Kernels of libtorch that tch does not hand out: oneDNN's convolutions and linear maps of weights laid out for them, with
//! the activation applied on the way out. The C++ side is `csrc/kernels.cpp`.
#![allow(unsafe_code)] // calls into C++, reasoned at each
#![allow(clippy::disallowed_methods)] // in place only where nobody else holds the tensor

use super::{Activation, Flow, Halt, Parameter, Strided};
use crate::error::text_of_cpp;
use anyhow::anyhow;
use std::ffi::{CStr, c_char, c_int};
use std::sync::LazyLock;
use tch::Tensor;
use torch_sys::C_tensor;

unsafe extern "C" {
    fn thingsvision_has_kernels() -> c_int;
    fn thingsvision_pack_convolution(
        weight: *const C_tensor,
        stride: i64,
        padding: *const i64,
        groups: i64,
        input: *const i64,
        message: *mut c_char,
        capacity: usize,
    ) -> *mut C_tensor;
    fn thingsvision_convolution(
        x: *const C_tensor,
        packed: *const C_tensor,
        bias: *const C_tensor,
        stride: i64,
        padding: *const i64,
        groups: i64,
        activation: *const c_char,
        message: *mut c_char,
        capacity: usize,
    ) -> *mut C_tensor;
    fn thingsvision_pack_linear(weight: *const C_tensor, rows: i64, message: *mut c_char, capacity: usize) -> *mut C_tensor;
    fn thingsvision_linear(
        x: *const C_tensor,
        packed: *const C_tensor,
        bias: *const C_tensor,
        activation: *const c_char,
        message: *mut c_char,
        capacity: usize,
    ) -> *mut C_tensor;
    fn thingsvision_channels_last(x: *const C_tensor, message: *mut c_char, capacity: usize) -> *mut C_tensor;
    fn thingsvision_add_relu(x: *const C_tensor, y: *const C_tensor) -> c_int;
    fn thingsvision_is_unique(x: *const C_tensor) -> c_int;
    fn thingsvision_met_nan() -> c_int;
    fn thingsvision_flush_denormals();
    fn thingsvision_allow_tf32(allowed: c_int);
}

const LONGEST_MESSAGE: usize = 500;

/// What a kernel does to its result on the way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Epilogue {
    None,
    Relu,
    Relu6,
    Gelu,
    Silu,
    Hardswish,
}

impl Epilogue {
    /// That of an activation function, if kernels have it.
    pub(super) fn of(activation: Activation) -> Option<Epilogue> {
        match activation {
            Activation::Relu => Some(Epilogue::Relu),
            Activation::Relu6 => Some(Epilogue::Relu6),
            Activation::Gelu => Some(Epilogue::Gelu),
            Activation::Silu => Some(Epilogue::Silu),
            Activation::Hardswish => Some(Epilogue::Hardswish),
            Activation::GeluTanh | Activation::QuickGelu | Activation::Sigmoid | Activation::Hardsigmoid => None,
        }
    }

    /// As libtorch calls it.
    fn name(self) -> &'static CStr {
        match self {
            Epilogue::None => c"none",
            Epilogue::Relu => c"relu",
            Epilogue::Relu6 => c"hardtanh",
            Epilogue::Gelu => c"gelu",
            Epilogue::Silu => c"swish",
            Epilogue::Hardswish => c"hardswish",
        }
    }
}

/// Whether this libtorch has them: it has with oneDNN, on x86 and most builds for aarch64.
pub fn available() -> bool {
    // SAFETY: takes nothing and only looks up names.
    static AVAILABLE: LazyLock<bool> = LazyLock::new(|| unsafe { thingsvision_has_kernels() } != 0);
    *AVAILABLE
}

/// Whether a row of what they give does not depend on the rows beside it, nor on the number of threads: for any numbers of
/// rows from 2 on every sum is formed in the same order. So it is on x86 with AVX-512; with AVX2 alone products of matrices
/// give other last digits at other places in a batch. (Compared by the tests, and for batches of 2 to 16 of AlexNet, ResNet50
/// and CLIP-ViT.)
pub fn rows_stand_alone() -> bool {
    #[cfg(target_arch = "x86_64")]
    let stand_alone = is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl");
    #[cfg(not(target_arch = "x86_64"))]
    let stand_alone = false;
    stand_alone
}

/// The weights `[C_out, C_in / groups, k, k]` laid out for inputs of the sizes `input` `[N, C, H, W]`; they serve other
/// sizes as well.
pub(super) fn pack_convolution(weight: &Tensor, call: Strided, input: [i64; 4]) -> Flow<Parameter> {
    let (stride, padding, groups) = (call.stride, call.conv.padding.as_ptr(), call.conv.options.groups);
    // SAFETY: the tensor lives during the call, `input` has the four numbers that are read, `padding` two, and the message its size.
    let packed = guard(|message, capacity| unsafe {
        thingsvision_pack_convolution(weight.as_ptr(), stride, padding, groups, input.as_ptr(), message, capacity)
    });
    packed.map(Parameter::new)
}

/// The convolution of `x` `[N, C, H, W]` with `packed` weights; the result is channels-last.
pub(super) fn convolution(x: &Tensor, packed: &Tensor, bias: Option<&Tensor>, call: Strided, epilogue: Epilogue) -> Flow<Tensor> {
    let (stride, padding, groups) = (call.stride, call.conv.padding.as_ptr(), call.conv.options.groups);
    let bias = pointer(bias);
    with_nan(epilogue, |name| {
        // SAFETY: the tensors live during the call, `padding` has two numbers, the name is a C string, and the message has the size that is told.
        guard(|message, capacity| unsafe {
            thingsvision_convolution(x.as_ptr(), packed.as_ptr(), bias, stride, padding, groups, name, message, capacity)
        })
    })
}

/// The weights `[D_out, D_in]` laid out for inputs of `rows` rows; they serve other numbers as well.
pub(super) fn pack_linear(weight: &Tensor, rows: i64) -> Flow<Parameter> {
    // SAFETY: the tensor lives during the call, and the message has the size that is told.
    let packed = guard(|message, capacity| unsafe { thingsvision_pack_linear(weight.as_ptr(), rows, message, capacity) });
    packed.map(Parameter::new)
}

/// `x` `[…, D_in]` times `packed` weights.
pub(super) fn linear(x: &Tensor, packed: &Tensor, bias: Option<&Tensor>, epilogue: Epilogue) -> Flow<Tensor> {
    let bias = pointer(bias);
    with_nan(epilogue, |name| {
        // SAFETY: the tensors live during the call, the name is a C string, and the message has the size that is told.
        guard(|message, capacity| unsafe { thingsvision_linear(x.as_ptr(), packed.as_ptr(), bias, name, message, capacity) })
    })
}

/// Whether a maximum sets the processor's flag when it meets a NaN: on x86 it does. On Arm it does not, and a fused ReLU makes 0 of
/// NaN there too (oneDNN's for vectors of 512 bits).
const NAN_IS_FLAGGED: bool = cfg!(target_arch = "x86_64");

/// What `compute` gives with `epilogue`. On the way out a ReLU makes 0 of NaN, where PyTorch's keeps it: the processor's maximum
/// does, and sets a flag. Then, and where nobody sees a flag (other processors, several threads), the ReLU is computed by itself.
fn with_nan(epilogue: Epilogue, compute: impl Fn(*const c_char) -> Flow<Tensor>) -> Flow<Tensor> {
    if !matches!(epilogue, Epilogue::Relu | Epilogue::Relu6) {
        return compute(epilogue.name().as_ptr());
    }
    if NAN_IS_FLAGGED && tch::get_num_threads() == 1 {
        met_nan();
        let y = compute(epilogue.name().as_ptr())?;
        if !met_nan() {
            return Ok(y);
        }
    }
    apply(epilogue, compute(Epilogue::None.name().as_ptr())?)
}

/// What `epilogue` does, in the memory of `x`, which nobody else holds.
pub(super) fn apply(epilogue: Epilogue, mut x: Tensor) -> Flow<Tensor> {
    Ok(match epilogue {
        Epilogue::None => x,
        Epilogue::Relu => x.f_relu_()?,
        Epilogue::Relu6 => x.f_relu6_()?,
        Epilogue::Gelu => x.f_gelu_("none")?,
        Epilogue::Silu => x.f_silu_()?,
        Epilogue::Hardswish => x.f_hardswish_()?,
    })
}

/// `relu(x + y)` in the memory of `x`, which nobody else holds. (libtorch's `_add_relu` makes the largest number of what is
/// infinite, and 0 of NaN.)
pub(super) fn add_relu(mut x: Tensor, y: &Tensor) -> Flow<Tensor> {
    // SAFETY: both live during the call, which writes into the memory of `x` as far as it reaches, and nobody else reads that.
    if unsafe { thingsvision_add_relu(x.as_ptr(), y.as_ptr()) } != 0 {
        return Ok(x);
    }
    Ok(x.f_add_(y)?.f_relu_()?)
}

/// Whether an operation of this thread met or made a NaN since this was last asked.
fn met_nan() -> bool {
    // SAFETY: reads and clears a flag of the processor for this thread.
    unsafe { thingsvision_met_nan() != 0 }
}

/// `x` `[N, C, H, W]` with its channels side by side in memory.
pub(super) fn channels_last(x: &Tensor) -> Flow<Tensor> {
    // SAFETY: the tensor lives during the call, and the message has the size that is told.
    guard(|message, capacity| unsafe { thingsvision_channels_last(x.as_ptr(), message, capacity) })
}

/// Whether nobody else holds `x` or sees its memory, so that it may be overwritten.
pub(super) fn is_unique(x: &Tensor) -> bool {
    // SAFETY: the tensor lives during the call, which reads two counters.
    unsafe { thingsvision_is_unique(x.as_ptr()) != 0 }
}

/// Lets this thread, and those that libtorch starts from it later, take numbers below 1.2e-38 for 0, which a processor
/// multiplies up to a hundred times slower than others.
pub fn flush_denormals() {
    // SAFETY: sets a flag of the processor for this thread.
    unsafe { thingsvision_flush_denormals() }
}

/// Whether CUDA may round the factors of products to 10 bits of mantissa. PyTorch does in convolutions, unless told.
pub fn allow_tf32(allowed: bool) {
    // SAFETY: sets two flags of libtorch, which are read when products are begun.
    unsafe { thingsvision_allow_tf32(allowed.into()) }
}

fn pointer(tensor: Option<&Tensor>) -> *const C_tensor {
    tensor.map_or(std::ptr::null(), |tensor| tensor.as_ptr())
}

/// Calls a function that gives a tensor of ours, or null and a message.
fn guard(call: impl FnOnce(*mut c_char, usize) -> *mut C_tensor) -> Flow<Tensor> {
    let mut message = [0 as c_char; LONGEST_MESSAGE];
    let tensor = call(message.as_mut_ptr(), LONGEST_MESSAGE);
    if tensor.is_null() {
        return Err(Halt::Failed(anyhow!("{}", text_of_cpp(&message))));
    }
    // SAFETY: made by `new` for us, and given to nobody else.
    Ok(unsafe { Tensor::from_ptr(tensor) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Conv, Scope, conv2d};
    use tch::Kind;

    #[test]
    fn denormals_are_zero_in_the_thread_that_asks_for_it() {
        let half_of_smallest = || (Tensor::from_slice(&[f32::MIN_POSITIVE; 64]) * 0.5).sum(None).double_value(&[]);
        let flushed = std::thread::spawn(move || {
            flush_denormals();
            half_of_smallest()
        });
        assert_eq!(flushed.join().unwrap(), 0.0);
        assert!(half_of_smallest() > 0.0);
    }

    #[test]
    fn a_fused_relu_keeps_what_is_no_number() {
        const BATCH: [i64; 4] = [2, 3, 8, 8];
        let device = (Kind::Float, tch::Device::Cpu);
        let options = Conv { padding: 1, ..Conv::default() };
        let (conv, _) = Scope::build(None, device, |s| conv2d(s, 3, 16, 3, options)).unwrap();
        let call = conv.with_stride(1);
        let weight = pack_convolution(&Tensor::ones([16, 3, 3, 3], device), call, BATCH).unwrap();
        let map = pack_linear(&Tensor::ones([16, 8], device), 48).unwrap();
        let is_nan = |y: Tensor| y.isnan().sum(Kind::Int64).int64_value(&[]);
        for threads in [1, 2] {
            tch::set_num_threads(threads);
            for value in [f64::NAN, -1.0] {
                let x = Tensor::ones(BATCH, device) * -1.0;
                let _ = x.get(1).get(0).get(4).get(4).fill_(value);
                for epilogue in [Epilogue::Relu, Epilogue::Relu6] {
                    let found = is_nan(convolution(&x, &weight, None, call, epilogue).unwrap());
                    assert_eq!(found, if value.is_nan() { 9 * 16 } else { 0 }, "{threads} threads, {epilogue:?}");
                }
                let found = is_nan(linear(&x, &map, None, Epilogue::Relu).unwrap());
                assert_eq!(found, if value.is_nan() { 16 } else { 0 }, "{threads} threads");
            }
        }
        // Made of numbers that are too large.
        tch::set_num_threads(1);
        let x = Tensor::from_slice(&[f32::INFINITY; 4]).view([2, 2]);
        let map = pack_linear(&Tensor::from_slice(&[2.0f32, -2.0]).view([1, 2]), 2).unwrap();
        assert_eq!(is_nan(linear(&x, &map, None, Epilogue::Relu).unwrap()), 2);
        let sum = |x: &[f32]| add_relu(Tensor::from_slice(x), &Tensor::from_slice(&[1.0f32, -2.0])).unwrap();
        assert_eq!(is_nan(sum(&[f32::NAN, 1.0])), 1);
        assert!(sum(&[1.0, 1.0]).equal(&Tensor::from_slice(&[2.0f32, 0.0])));
        assert!(sum(&[f32::INFINITY, f32::NEG_INFINITY]).equal(&Tensor::from_slice(&[f32::INFINITY, 0.0])));
        let large = |x: f32| Tensor::from_slice(&[x]);
        assert!(add_relu(large(3e38), &large(3e38)).unwrap().equal(&large(f32::INFINITY)));
        // Laid out in another way.
        let other = Tensor::from_slice(&[1.0f32, f32::INFINITY, -9.0, 4.0]).view([2, 2]).tr();
        let expected = Tensor::from_slice(&[2.0f32, 0.0, f32::INFINITY, 5.0]).view([2, 2]);
        assert!(add_relu(Tensor::ones([2, 2], (Kind::Float, tch::Device::Cpu)), &other).unwrap().equal(&expected));
    }

    #[test]
    fn an_error_of_a_kernel_is_returned() {
        let (x, weight) = (Tensor::zeros([2, 3], (tch::Kind::Float, tch::Device::Cpu)), Tensor::from_slice(&[1.0f32]));
        assert!(matches!(linear(&x, &weight, None, Epilogue::None), Err(Halt::Failed(_))));
    }
}
