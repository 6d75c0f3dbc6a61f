//! AVX2 with FMA: 256-bit vectors, tiles of 6 × 16.
//!
//! There is no 8-bit dot product: `vpmaddubsw` adds two products in 16 bits and saturates, so weights are packed with
//! 7 bits here (`Isa::weight_limit`): 255 · 64 · 2 = 32,640 still fits.
#![expect(unsafe_code, reason = "vector instructions; tested against the portable kernels")]

use super::{
    attention,
    kernels::{Kernels, kernels},
    pack, product, rows,
    simd::{DotBf16, DotF32, DotInt8, Simd, methods},
};
use crate::weights::Activation;
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub(super) struct Avx2;

impl Simd for Avx2 {
    type F = __m256;
    type I = __m256i;
    const LANES: usize = 8;
    const FAST_BF16: bool = false;

    methods! {
        fn splat(value: f32) -> __m256 = _mm256_set1_ps(value);
        fn load(from: *const f32) -> __m256 = _mm256_loadu_ps(from);
        fn store(to: *mut f32, value: __m256) = _mm256_storeu_ps(to, value);
        fn add(a: __m256, b: __m256) -> __m256 = _mm256_add_ps(a, b);
        fn sub(a: __m256, b: __m256) -> __m256 = _mm256_sub_ps(a, b);
        fn mul(a: __m256, b: __m256) -> __m256 = _mm256_mul_ps(a, b);
        fn fma(a: __m256, b: __m256, c: __m256) -> __m256 = _mm256_fmadd_ps(a, b, c);
        fn max(a: __m256, b: __m256) -> __m256 = _mm256_max_ps(a, b);
        fn min(a: __m256, b: __m256) -> __m256 = _mm256_min_ps(a, b);
        fn div(a: __m256, b: __m256) -> __m256 = _mm256_div_ps(a, b);
        fn round(a: __m256) -> __m256 = _mm256_round_ps::<8>(a);
        fn scale_by_power(a: __m256, n: __m256) -> __m256 = {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
            _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
        };
        fn sum_lanes(a: __m256) -> f32 = {
            let half = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let quarter = _mm_add_ps(half, _mm_movehl_ps(half, half));
            _mm_cvtss_f32(_mm_add_ss(quarter, _mm_shuffle_ps::<1>(quarter, quarter)))
        };
        fn max_lanes(a: __m256) -> f32 = {
            let half = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let quarter = _mm_max_ps(half, _mm_movehl_ps(half, half));
            _mm_cvtss_f32(_mm_max_ss(quarter, _mm_shuffle_ps::<1>(quarter, quarter)))
        };
        fn store_bf16(to: *mut u16, value: __m256) = {
            let rounded = _mm256_srli_epi32::<16>(round_bf16(value));
            let halves = (_mm256_castsi256_si128(rounded), _mm256_extracti128_si256::<1>(rounded));
            _mm_storeu_si128(to.cast(), _mm_packus_epi32(halves.0, halves.1));
        };
        fn store_u8(to: *mut u8, value: __m256) = {
            let whole = _mm256_cvtps_epi32(value);
            let halves = (_mm256_castsi256_si128(whole), _mm256_extracti128_si256::<1>(whole));
            let shorts = _mm_packs_epi32(halves.0, halves.1);
            _mm_storel_epi64(to.cast(), _mm_packus_epi16(shorts, shorts));
        };

        fn zero_words() -> __m256i = _mm256_setzero_si256();
        fn load_words(from: *const u32) -> __m256i = _mm256_loadu_si256(from.cast());
        fn store_words(to: *mut u32, value: __m256i) = _mm256_storeu_si256(to.cast(), value);
        fn pair_bf16(low: __m256, high: __m256) -> __m256i = _mm256_or_si256(
            _mm256_srli_epi32::<16>(round_bf16(low)),
            _mm256_and_si256(round_bf16(high), _mm256_set1_epi32(-65536)),
        );
        fn broadcast(from: *const u32) -> __m256i = _mm256_set1_epi32(from.read().cast_signed());
        fn to_f32(a: __m256i) -> __m256 = _mm256_cvtepi32_ps(a);

        fn dot_f32(sum: __m256, a: __m256i, b: __m256i) -> __m256 =
            _mm256_fmadd_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), sum);
        fn dot_bf16(sum: __m256, a: __m256i, b: __m256i) -> __m256 = {
            let high = _mm256_set1_epi32(-65536);
            let sum = _mm256_fmadd_ps(
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(a)),
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(b)),
                sum,
            );
            _mm256_fmadd_ps(
                _mm256_castsi256_ps(_mm256_and_si256(a, high)),
                _mm256_castsi256_ps(_mm256_and_si256(b, high)),
                sum,
            )
        };
        fn dot_int8(sum: __m256i, a: __m256i, b: __m256i) -> __m256i =
            _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), _mm256_set1_epi16(1)));
    }
}

/// Adds what rounds the upper half of each lane to the nearest bf16, ties to even.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn round_bf16(value: __m256) -> __m256i {
    // SAFETY: the caller's promise.
    unsafe {
        let bits = _mm256_castps_si256(value);
        let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
        _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)))
    }
}

kernels!(Avx2, 6, 2, 64, #[target_feature(enable = "avx2,fma")]);
