//! Functions that are compiled twice, for any processor and for those with AVX2, of which the better one runs: plain loops
//! that the compiler turns into vector instructions. Both compute the same integers.
#![allow(unsafe_code)] // one kind of call, reasoned at the one place

/// Whether the processor of this machine runs what was compiled for AVX2.
#[cfg(target_arch = "x86_64")]
pub(super) fn has_avx2() -> bool {
    #[cfg(test)]
    if PLAIN.get() {
        return false;
    }
    is_x86_feature_detected!("avx2")
}

#[cfg(test)]
thread_local! {
    /// Tests set it to see what other processors compute.
    pub(super) static PLAIN: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// `vectorised! { fn name(x: &[u8], y: &mut [u8]) { … } … }` are such functions.
macro_rules! vectorised {
    ($($(#[$attribute:meta])* fn $name:ident($($argument:ident: $type:ty),* $(,)?) $body:block)*) => {$(
        $(#[$attribute])*
        fn $name($($argument: $type),*) {
            #[inline(always)]
            fn plain($($argument: $type),*) $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn avx2($($argument: $type),*) {
                    plain($($argument),*)
                }
                if $crate::images::vector::has_avx2() {
                    // SAFETY: the processor has what the function was compiled for.
                    #[allow(unsafe_code)]
                    return unsafe { avx2($($argument),*) };
                }
            }
            plain($($argument),*)
        }
    )*};
}
pub(super) use vectorised;
