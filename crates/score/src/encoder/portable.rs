//! Plain Rust with the same shape of code: eight lanes, which compilers turn into whatever vectors the target has, or
//! one, for widths that are no multiple of sixteen.
#![expect(unsafe_code, reason = "implements the kernels' trait over raw pointers, as the vector versions do")]

use super::{
    attention,
    kernels::{Kernels, kernels},
    pack, product, rows,
    simd::{DotBf16, DotF32, DotInt8, Simd, methods, safe_methods},
};
use crate::weights::Activation;
use half::bf16;
use std::array::from_fn;

/// 1.5 · 2²³: adding and subtracting it rounds to the nearest whole number, ties to even, as the vector units do.
pub(super) const ROUNDER: f32 = 12_582_912.0;

#[derive(Clone, Copy)]
pub(super) struct Portable<const LANES: usize>;

impl<const LANES: usize> Simd for Portable<LANES> {
    type F = [f32; LANES];
    type I = [u32; LANES];
    const LANES: usize = LANES;
    const FAST_BF16: bool = false;

    methods! {
        fn load(from: *const f32) -> [f32; LANES] = from.cast::<[f32; LANES]>().read_unaligned();
        fn store(to: *mut f32, value: [f32; LANES]) = to.cast::<[f32; LANES]>().write_unaligned(value);
        fn store_bf16(to: *mut u16, value: [f32; LANES]) =
            to.cast::<[u16; LANES]>().write_unaligned(value.map(|value| bf16::from_f32(value).to_bits()));
        fn store_u8(to: *mut u8, value: [f32; LANES]) =
            to.cast::<[u8; LANES]>().write_unaligned(value.map(|value| ((value + ROUNDER) - ROUNDER) as u8));
        fn load_words(from: *const u32) -> [u32; LANES] = from.cast::<[u32; LANES]>().read_unaligned();
        fn store_words(to: *mut u32, value: [u32; LANES]) = to.cast::<[u32; LANES]>().write_unaligned(value);
        fn broadcast(from: *const u32) -> [u32; LANES] = [from.read(); LANES];
    }

    safe_methods! {
        fn splat(value: f32) -> [f32; LANES] = [value; LANES];
        fn add(a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] = from_fn(|i| a[i] + b[i]);
        fn sub(a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] = from_fn(|i| a[i] - b[i]);
        fn mul(a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] = from_fn(|i| a[i] * b[i]);
        // Not `mul_add`: without the instruction it is a slow call.
        fn fma(a: [f32; LANES], b: [f32; LANES], c: [f32; LANES]) -> [f32; LANES] = from_fn(|i| a[i] * b[i] + c[i]);
        fn max(a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] = from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] });
        fn min(a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] = from_fn(|i| if a[i] < b[i] { a[i] } else { b[i] });
        fn div(a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] = from_fn(|i| a[i] / b[i]);
        fn round(a: [f32; LANES]) -> [f32; LANES] = from_fn(|i| (a[i] + ROUNDER) - ROUNDER);
        fn scale_by_power(a: [f32; LANES], n: [f32; LANES]) -> [f32; LANES] =
            from_fn(|i| a[i] * f32::from_bits(((n[i] as i32 + 127) << 23).cast_unsigned()));
        fn sum_lanes(a: [f32; LANES]) -> f32 = a.iter().sum();
        fn max_lanes(a: [f32; LANES]) -> f32 = a.into_iter().fold(f32::NEG_INFINITY, f32::max);
        fn zero_words() -> [u32; LANES] = [0; LANES];
        fn pair_bf16(low: [f32; LANES], high: [f32; LANES]) -> [u32; LANES] = from_fn(|i| {
            u32::from(bf16::from_f32(low[i]).to_bits()) | u32::from(bf16::from_f32(high[i]).to_bits()) << 16
        });
        fn to_f32(a: [u32; LANES]) -> [f32; LANES] = from_fn(|i| a[i].cast_signed() as f32);
        fn dot_f32(sum: [f32; LANES], a: [u32; LANES], b: [u32; LANES]) -> [f32; LANES] =
            from_fn(|i| sum[i] + f32::from_bits(a[i]) * f32::from_bits(b[i]));
        fn dot_bf16(sum: [f32; LANES], a: [u32; LANES], b: [u32; LANES]) -> [f32; LANES] = from_fn(|i| {
            let low = f32::from_bits(a[i] << 16) * f32::from_bits(b[i] << 16);
            sum[i] + low + f32::from_bits(a[i] & 0xffff_0000) * f32::from_bits(b[i] & 0xffff_0000)
        });
        fn dot_int8(sum: [u32; LANES], a: [u32; LANES], b: [u32; LANES]) -> [u32; LANES] = from_fn(|i| {
            let (left, right) = (a[i].to_le_bytes(), b[i].to_le_bytes());
            let products = (0..4).map(|k| i32::from(left[k]) * i32::from(right[k].cast_signed()));
            (sum[i].cast_signed() + products.sum::<i32>()).cast_unsigned()
        });
    }
}

/// Eight lanes.
pub(super) mod vectors {
    use super::*;
    kernels!(Portable<8>, 2, 2, 127,);
}

/// One lane, so that nothing needs to be a multiple of anything.
pub(super) mod scalar {
    use super::*;
    kernels!(Portable<1>, 2, 4, 127,);
}
