//! The core's peak for each number format: multiply-add instructions on registers alone, sixteen chains at once.
#![expect(unsafe_code, reason = "the instructions whose peak is measured")]

use logrisk_score::encoder::{Isa, Precision};
use std::time::{Duration, Instant};

/// 10⁹ multiplications and additions a second, for each precision.
pub(crate) fn measure(isa: Isa) -> [(Precision, f64); 3] {
    Precision::ALL.map(|precision| (precision, best(isa, precision)))
}

fn best(isa: Isa, precision: Precision) -> f64 {
    let rounds = 200_000;
    let begin = Instant::now();
    let mut best = 0f64;
    while begin.elapsed() < Duration::from_millis(500) {
        let start = Instant::now();
        let operations = run(isa, precision, std::hint::black_box(rounds));
        best = best.max(operations / start.elapsed().as_nanos() as f64);
    }
    best
}

/// Runs `rounds` rounds and returns how many operations those were.
fn run(isa: Isa, precision: Precision, rounds: usize) -> f64 {
    // SAFETY: the feature that each function needs was checked.
    let per_round = unsafe {
        match (isa, precision) {
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512, Precision::Bf16) if is_x86_feature_detected!("avx512bf16") => x86::bf16_512(rounds),
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512, Precision::Int8) if isa.is_available() => x86::int8_512(rounds),
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512, _) if isa.is_available() => x86::f32_512(rounds),
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2, Precision::Int8) if isa.is_available() => x86::int8_256(rounds),
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2, _) if isa.is_available() => x86::f32_256(rounds),
            _ => portable(rounds),
        }
    };
    (per_round * rounds) as f64
}

fn portable(rounds: usize) -> usize {
    let (a, b) = std::hint::black_box(([1.0f32; 64], [1e-9f32; 64]));
    let mut sums = [0f32; 64];
    for _ in 0..rounds {
        for i in 0..64 {
            sums[i] += a[i] * b[i];
        }
        std::hint::black_box(&mut sums);
    }
    2 * 64
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::{arch::x86_64::*, hint::black_box};

    /// Sixteen independent sums, so that latency does not matter.
    macro_rules! chains {
        ($name:ident, $features:literal, $zero:expr, $one:expr, |$sum:ident, $a:ident| $step:expr, $operations:expr) => {
            #[target_feature(enable = $features)]
            pub(super) fn $name(rounds: usize) -> usize {
                let $a = black_box($one);
                let mut sums = [$zero; 16];
                for _ in 0..rounds {
                    for $sum in &mut sums {
                        *$sum = $step;
                    }
                    // SAFETY: an empty statement, which keeps the compiler from folding rounds into one.
                    unsafe { std::arch::asm!("", options(nomem, nostack, preserves_flags)) }
                }
                black_box(sums);
                16 * $operations
            }
        };
    }

    chains!(
        f32_512,
        "avx512f",
        _mm512_setzero_ps(),
        _mm512_set1_ps(0.5),
        |sum, a| _mm512_fmadd_ps(a, a, *sum),
        32
    );
    chains!(
        f32_256,
        "avx2,fma",
        _mm256_setzero_ps(),
        _mm256_set1_ps(0.5),
        |sum, a| _mm256_fmadd_ps(a, a, *sum),
        16
    );
    chains!(
        int8_512,
        "avx512f,avx512vnni",
        _mm512_setzero_si512(),
        _mm512_set1_epi8(1),
        |sum, a| _mm512_dpbusd_epi32(*sum, a, a),
        128
    );
    chains!(
        int8_256,
        "avx2",
        _mm256_setzero_si256(),
        _mm256_set1_epi8(1),
        |sum, a| _mm256_add_epi32(
            *sum,
            _mm256_madd_epi16(_mm256_maddubs_epi16(a, _mm256_xor_si256(*sum, a)), _mm256_set1_epi16(1))
        ),
        64
    );

    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) fn bf16_512(rounds: usize) -> usize {
        // SAFETY: vectors of the same size, and any bits are 32 numbers.
        let a = black_box(unsafe { std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi16(0x3f00)) });
        let mut sums = [_mm512_setzero_ps(); 16];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm512_dpbf16_ps(*sum, a, a);
            }
        }
        black_box(sums);
        16 * 64
    }
}
