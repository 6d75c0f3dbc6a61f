//! AVX-512: 512-bit vectors, tiles of 6 × 64. VNNI is required; BF16 is used where the CPU has it (`BF16`).
//!
//! Ice Lake has VNNI and no BF16; Cooper Lake, Sapphire Rapids and Zen 4 have both.
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
pub(super) struct Avx512<const BF16: bool>;

impl<const BF16: bool> Simd for Avx512<BF16> {
    type F = __m512;
    type I = __m512i;
    const LANES: usize = 16;
    const FAST_BF16: bool = BF16;

    methods! {
        fn splat(value: f32) -> __m512 = _mm512_set1_ps(value);
        fn load(from: *const f32) -> __m512 = _mm512_loadu_ps(from);
        fn store(to: *mut f32, value: __m512) = _mm512_storeu_ps(to, value);
        fn add(a: __m512, b: __m512) -> __m512 = _mm512_add_ps(a, b);
        fn sub(a: __m512, b: __m512) -> __m512 = _mm512_sub_ps(a, b);
        fn mul(a: __m512, b: __m512) -> __m512 = _mm512_mul_ps(a, b);
        fn fma(a: __m512, b: __m512, c: __m512) -> __m512 = _mm512_fmadd_ps(a, b, c);
        fn max(a: __m512, b: __m512) -> __m512 = _mm512_max_ps(a, b);
        fn min(a: __m512, b: __m512) -> __m512 = _mm512_min_ps(a, b);
        fn div(a: __m512, b: __m512) -> __m512 = _mm512_div_ps(a, b);
        fn round(a: __m512) -> __m512 = _mm512_roundscale_ps::<8>(a);
        fn scale_by_power(a: __m512, n: __m512) -> __m512 = _mm512_scalef_ps(a, n);
        fn sum_lanes(a: __m512) -> f32 = _mm512_reduce_add_ps(a);
        fn max_lanes(a: __m512) -> f32 = _mm512_reduce_max_ps(a);
        fn store_bf16(to: *mut u16, value: __m512) = _mm256_storeu_si256(to.cast(), round_bf16::<BF16>(value));
        fn store_u8(to: *mut u8, value: __m512) =
            _mm_storeu_si128(to.cast(), _mm512_cvtusepi32_epi8(_mm512_cvtps_epu32(value)));

        fn zero_words() -> __m512i = _mm512_setzero_si512();
        fn load_words(from: *const u32) -> __m512i = _mm512_loadu_si512(from.cast());
        fn store_words(to: *mut u32, value: __m512i) = _mm512_storeu_si512(to.cast(), value);
        fn pair_bf16(low: __m512, high: __m512) -> __m512i = {
            let low = _mm512_cvtepu16_epi32(round_bf16::<BF16>(low));
            let high = _mm512_cvtepu16_epi32(round_bf16::<BF16>(high));
            _mm512_or_si512(low, _mm512_slli_epi32::<16>(high))
        };
        fn broadcast(from: *const u32) -> __m512i = _mm512_set1_epi32(from.read().cast_signed());
        fn to_f32(a: __m512i) -> __m512 = _mm512_cvtepi32_ps(a);

        fn transpose(from: *const u32, from_stride: usize, to: *mut u32, to_stride: usize) = {
            let mut a = [_mm512_setzero_si512(); 16];
            for (i, row) in a.iter_mut().enumerate() {
                *row = Self::load_words(from.add(i * from_stride));
            }
            // Pairs of words, then of pairs, within each quarter of 128 bits; then whole quarters, twice.
            let mut b = a;
            for i in (0..16).step_by(2) {
                b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
                b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
            }
            for i in (0..16).step_by(4) {
                a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
                a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
                a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
                a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
            }
            for i in 0..4 {
                b[i] = _mm512_shuffle_i32x4::<0x88>(a[i], a[i + 4]);
                b[i + 4] = _mm512_shuffle_i32x4::<0xdd>(a[i], a[i + 4]);
                b[i + 8] = _mm512_shuffle_i32x4::<0x88>(a[i + 8], a[i + 12]);
                b[i + 12] = _mm512_shuffle_i32x4::<0xdd>(a[i + 8], a[i + 12]);
            }
            for i in 0..8 {
                a[i] = _mm512_shuffle_i32x4::<0x88>(b[i], b[i + 8]);
                a[i + 8] = _mm512_shuffle_i32x4::<0xdd>(b[i], b[i + 8]);
            }
            for (i, row) in a.iter().enumerate() {
                Self::store_words(to.add(i * to_stride), *row);
            }
        };

        fn dot_f32(sum: __m512, a: __m512i, b: __m512i) -> __m512 =
            _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), sum);
        fn dot_bf16(sum: __m512, a: __m512i, b: __m512i) -> __m512 = if BF16 {
            _mm512_dpbf16_ps(sum, std::mem::transmute::<__m512i, __m512bh>(a), std::mem::transmute::<__m512i, __m512bh>(b))
        } else {
            let high = _mm512_set1_epi32(-65536);
            let sum = _mm512_fmadd_ps(
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(a)),
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(b)),
                sum,
            );
            _mm512_fmadd_ps(
                _mm512_castsi512_ps(_mm512_and_si512(a, high)),
                _mm512_castsi512_ps(_mm512_and_si512(b, high)),
                sum,
            )
        };
        fn dot_int8(sum: __m512i, a: __m512i, b: __m512i) -> __m512i = _mm512_dpbusd_epi32(sum, a, b);
    }
}

/// To the nearest bf16, ties to even.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn round_bf16<const BF16: bool>(value: __m512) -> __m256i {
    // SAFETY: the caller's promise; `BF16` is only true in the table for CPUs that have it.
    unsafe {
        if BF16 {
            return std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(value));
        }
        let bits = _mm512_castps_si512(value);
        let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
        let rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
        _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(rounded))
    }
}

/// For CPUs with BF16.
pub(super) mod with_bf16 {
    use super::*;
    kernels!(Avx512<true>, 6, 4, 127, #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx2,fma")]);
}

/// For CPUs without.
pub(super) mod without_bf16 {
    use super::*;
    kernels!(Avx512<false>, 6, 4, 127, #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]);
}
