//! Lets plain loops outside this crate use the CPU's vectors.
#![expect(
    unsafe_code,
    reason = "calls functions compiled for an instruction set that the CPU was checked to have"
)]

use super::isa::Isa;

/// Loops worth compiling once for each instruction set.
pub trait Loops {
    /// What they give.
    type Output;

    /// Runs them. Must be `#[inline(always)]`, as must everything called within that is worth it: only what is inlined
    /// is compiled for the instruction set. A closure would not do, since it cannot be marked so.
    fn run(self) -> Self::Output;
}

/// Runs `loops` as compiled for `isa`, or for the base of the target where this CPU lacks it. The results are the same
/// to the last bit: Rust neither fuses nor reorders floating-point operations.
pub fn vectorize<L: Loops>(isa: Isa, loops: L) -> L::Output {
    #[cfg(target_arch = "x86_64")]
    if isa.is_available() {
        match isa {
            // SAFETY: the CPU has the instruction set.
            Isa::Avx512 => return unsafe { avx512(loops) },
            // SAFETY: the CPU has the instruction set.
            Isa::Avx2 => return unsafe { avx2(loops) },
            Isa::Portable => {}
        }
    }
    loops.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn avx512<L: Loops>(loops: L) -> L::Output {
    loops.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<L: Loops>(loops: L) -> L::Output {
    loops.run()
}
