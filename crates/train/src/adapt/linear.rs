//! The inverse of a small matrix: a few dozen corrections need no library.

/// The inverse of a symmetric positive definite matrix of `count` rows, by Cholesky; `None` if it is none.
pub(super) fn inverse(mut matrix: Vec<f64>, count: usize) -> Option<Vec<f64>> {
    // L below and on the diagonal.
    for column in 0..count {
        for row in column..count {
            let (above, here) = (&matrix[column * count..][..column], &matrix[row * count..][..column]);
            let known: f64 = above.iter().zip(here).map(|(one, other)| one * other).sum();
            let rest = matrix[row * count + column] - known;
            if row == column {
                if rest <= 0.0 || !rest.is_finite() {
                    return None;
                }
                matrix[row * count + column] = rest.sqrt();
            } else {
                matrix[row * count + column] = rest / matrix[column * count + column];
            }
        }
    }
    // The rows of the transposed L⁻¹, then A⁻¹ = L⁻ᵀ L⁻¹.
    let mut half = vec![0.0; count * count];
    for unit in 0..count {
        for row in unit..count {
            let known: f64 = (unit..row).map(|k| matrix[row * count + k] * half[unit * count + k]).sum();
            let wanted = if row == unit { 1.0 } else { 0.0 };
            half[unit * count + row] = (wanted - known) / matrix[row * count + row];
        }
    }
    let mut whole = vec![0.0; count * count];
    for row in 0..count {
        for column in row..count {
            let (one, other) = (&half[row * count..][column..count], &half[column * count..][column..count]);
            let value: f64 = one.iter().zip(other).map(|(one, other)| one * other).sum();
            whole[row * count + column] = value;
            whole[column * count + row] = value;
        }
    }
    Some(whole)
}

/// A square matrix times a vector.
pub(super) fn times(matrix: &[f64], vector: &[f64]) -> Vec<f64> {
    matrix
        .chunks(vector.len().max(1))
        .map(|row| row.iter().zip(vector).map(|(one, other)| one * other).sum())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_times_its_inverse_is_one() {
        let matrix = vec![2.0, 0.5, -0.3, 0.5, 1.0, 0.2, -0.3, 0.2, 3.0];
        let inverse = inverse(matrix.clone(), 3).unwrap();
        for unit in 0..3 {
            let column: Vec<f64> = (0..3).map(|row| inverse[row * 3 + unit]).collect();
            for (row, value) in times(&matrix, &column).into_iter().enumerate() {
                assert!((value - f64::from(u8::from(row == unit))).abs() < 1e-12);
            }
        }
        assert_eq!(super::inverse(vec![1.0, 2.0, 2.0, 1.0], 2), None);
    }
}
