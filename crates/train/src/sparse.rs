//! Sparse rows, and ridge regression on them.

/// Columns in ascending order, with their values.
pub(crate) type Row = Vec<(u32, f32)>;

/// Conjugate gradients on normalised rows settle in far fewer steps.
const STEPS: usize = 60;

/// The inner product with a dense vector, which must have all the row's columns.
pub(crate) fn dot(row: &Row, dense: &[f32]) -> f32 {
    row.iter().map(|(column, value)| value * dense[*column as usize]).sum()
}

/// Solves `(XᵀX + penalty·I) w = Xᵀ y` by conjugate gradients on the normal equations.
pub(crate) fn ridge(rows: &[Row], columns: usize, penalty: f32, wanted: &[f32]) -> Vec<f32> {
    let transposed = |values: &[f32]| {
        let mut sum = vec![0.0f32; columns];
        for (row, value) in rows.iter().zip(values) {
            for (column, entry) in row {
                sum[*column as usize] += entry * value;
            }
        }
        sum
    };
    let product = |vector: &[f32]| {
        let projected: Vec<f32> = rows.iter().map(|row| dot(row, vector)).collect();
        let mut result = transposed(&projected);
        result.iter_mut().zip(vector).for_each(|(slot, value)| *slot += penalty * value);
        result
    };
    let inner = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();

    let mut solution = vec![0.0f32; columns];
    let mut residual = transposed(wanted);
    let mut direction = residual.clone();
    let mut size = inner(&residual, &residual);
    let enough = size * 1e-8;
    for _ in 0..STEPS {
        if size <= enough {
            break;
        }
        let image = product(&direction);
        let step = size / inner(&direction, &image);
        for index in 0..columns {
            solution[index] += step * direction[index];
            residual[index] -= step * image[index];
        }
        let next = inner(&residual, &residual);
        let keep = next / size;
        direction.iter_mut().zip(&residual).for_each(|(slot, residual)| *slot = residual + keep * *slot);
        size = next;
    }
    solution
}
