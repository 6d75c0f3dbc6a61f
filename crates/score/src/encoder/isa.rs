//! Which instructions and which number format the encoder computes with, chosen at run time.

use std::{fmt, str::FromStr};

/// An instruction set that the kernels are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isa {
    /// AVX-512 F, BW, DQ, VL and VNNI (Intel from Ice Lake, AMD from Zen 4); BF16 too where the CPU has it.
    Avx512,
    /// AVX2 with FMA (Intel from Haswell, AMD from Zen).
    Avx2,
    /// Plain Rust, for every other CPU; the reference that the others are tested against.
    Portable,
}

impl Isa {
    /// All of them, the fastest first.
    pub const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Portable];

    /// The fastest one that this CPU has; the environment variable `LOGRISK_ISA` (`avx512`, `avx2`, `portable`)
    /// may name a slower one, for tests and benchmarks. A value that is unknown or unavailable is ignored.
    #[must_use]
    pub fn detect() -> Self {
        let wished = std::env::var("LOGRISK_ISA").ok().and_then(|name| name.parse::<Self>().ok());
        wished.into_iter().chain(Self::ALL).find(|isa| isa.is_available()).unwrap_or(Self::Portable)
    }

    /// Whether this CPU can run it.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx512 | Self::Avx2 => false,
            Self::Portable => true,
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        })
    }
}

impl FromStr for Isa {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|isa| isa.to_string().eq_ignore_ascii_case(name))
            .ok_or_else(|| UnknownName { name: name.to_owned(), known: "avx512, avx2, portable" })
    }
}

/// The number format of weights and activations in the matrix products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 32-bit floats: the reference.
    F32,
    /// bfloat16 factors, f32 sums: about twice as fast, 8 significant bits.
    Bf16,
    /// 8-bit integers, scaled per token and per output: about four times as fast, for inference.
    Int8,
}

impl Precision {
    /// All of them, the most exact first.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::Int8];
}

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        })
    }
}

impl FromStr for Precision {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|precision| precision.to_string().eq_ignore_ascii_case(name))
            .ok_or_else(|| UnknownName { name: name.to_owned(), known: "f32, bf16, int8" })
    }
}

/// A name that is none of the known ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is unknown; choose one of {known}")]
pub struct UnknownName {
    name: String,
    known: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for isa in Isa::ALL {
            assert_eq!(isa.to_string().parse(), Ok(isa));
        }
        for precision in Precision::ALL {
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
        let error = "neon".parse::<Isa>().unwrap_err().to_string();
        assert_eq!(error, "`neon` is unknown; choose one of avx512, avx2, portable");
    }

    #[test]
    fn what_is_detected_is_available() {
        assert!(Isa::detect().is_available());
        assert!(Isa::Portable.is_available());
    }
}
