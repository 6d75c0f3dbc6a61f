//! The table of kernels that an instruction set offers, behind functions that check shapes.
//!
//! Each kernel is written once, generic over [`Simd`](super::simd::Simd), in `product.rs`, `rows.rs` and `attention.rs`;
//! [`kernels!`] instantiates them with an instruction set's `#[target_feature]`. This file is where checked slices become
//! the raw pointers that kernels take; everything above it is safe code.
#![expect(unsafe_code, reason = "hands checked slices to the kernels")]

use super::{
    attention,
    buffer::Aligned,
    isa::{Isa, Precision},
    pack::Packing,
    packed::{Packed, values_per_word},
    product::{Panel, Rescale},
    rows::{Encoded, RowScale, Rows},
};
use crate::weights::{Activation, Norm};

/// One instruction set's kernels. Calling one of the `unsafe fn` is sound if the CPU has the instruction set, which
/// [`Kernels::of`] sees to, and if pointers are valid as the generic function of that name says.
#[derive(Debug)]
pub(super) struct Kernels {
    /// Columns of a packed panel, the tile's width.
    pub(super) panel: usize,
    /// The largest packed 8-bit weight whose products cannot saturate.
    pub(super) weight_limit: i8,
    /// Widths must be multiples of it.
    pub(super) granularity: usize,
    /// Whether attention may use bf16.
    pub(super) fast_bf16: bool,
    pub(super) accumulate_f32: unsafe fn(Panel, bool),
    pub(super) accumulate_bf16: unsafe fn(Panel, bool),
    pub(super) pack_f32: unsafe fn(Packing),
    pub(super) pack_bf16: unsafe fn(Packing),
    pub(super) product_f32: unsafe fn(Panel, *const f32),
    pub(super) product_bf16: unsafe fn(Panel, *const f32),
    pub(super) product_int8: unsafe fn(Panel, Rescale),
    pub(super) encode: unsafe fn(Rows, Encoded),
    pub(super) refine: unsafe fn(Rows, *const usize, usize, Encoded),
    pub(super) add_norm: unsafe fn(Rows, *const f32, *const f32, *const f32, f32, Encoded),
    pub(super) activate: unsafe fn(Rows, Activation, Encoded),
    pub(super) attend_f32: unsafe fn(attention::Line),
    pub(super) attend_bf16: unsafe fn(attention::Line),
}

/// Instantiates every kernel for one instruction set:
/// `kernels!(Simd, tile rows, tile vectors, weight limit, #[target_feature…])`.
macro_rules! kernels {
    ($simd:ty, $rows:literal, $vectors:literal, $weight_limit:literal, $(#[$feature:meta])*) => {
        kernels!(@functions $(#[$feature])* ; $simd =>
            fn accumulate_f32(panel: product::Panel, accumulate: bool) =
                product::panel::<$simd, DotF32, product::Plain, $rows, $vectors>(panel, product::Plain { accumulate });
            fn accumulate_bf16(panel: product::Panel, accumulate: bool) =
                product::panel::<$simd, DotBf16, product::Plain, $rows, $vectors>(panel, product::Plain { accumulate });
            fn pack_f32(packing: pack::Packing) = pack::pack::<$simd, false>(packing);
            fn pack_bf16(packing: pack::Packing) = pack::pack::<$simd, true>(packing);
            fn product_f32(panel: product::Panel, bias: *const f32) =
                product::panel::<$simd, DotF32, product::Bias, $rows, $vectors>(panel, product::Bias(bias));
            fn product_bf16(panel: product::Panel, bias: *const f32) =
                product::panel::<$simd, DotBf16, product::Bias, $rows, $vectors>(panel, product::Bias(bias));
            fn product_int8(panel: product::Panel, rescale: product::Rescale) =
                product::panel::<$simd, DotInt8, product::Rescale, $rows, $vectors>(panel, rescale);
            fn encode(from: rows::Rows, to: rows::Encoded) = rows::encode::<$simd>(from, to);
            fn refine(from: rows::Rows, fine: *const usize, count: usize, to: rows::Encoded) =
                rows::refine::<$simd>(from, fine, count, to);
            fn add_norm(x: rows::Rows, y: *const f32, gain: *const f32, bias: *const f32, epsilon: f32, to: rows::Encoded) =
                rows::add_norm::<$simd>(x, y, gain, bias, epsilon, to);
            fn activate(from: rows::Rows, activation: Activation, to: rows::Encoded) =
                rows::activate::<$simd>(from, activation, to);
            fn attend_f32(line: attention::Line) = attention::attend::<$simd, false, $rows>(line);
            fn attend_bf16(line: attention::Line) = attention::attend::<$simd, { <$simd>::FAST_BF16 }, $rows>(line);
        );

        pub(in crate::encoder) static KERNELS: Kernels = Kernels {
            panel: <$simd as Simd>::LANES * $vectors,
            weight_limit: $weight_limit,
            granularity: <$simd as Simd>::LANES,
            fast_bf16: <$simd as Simd>::FAST_BF16,
            accumulate_f32,
            accumulate_bf16,
            pack_f32,
            pack_bf16,
            product_f32,
            product_bf16,
            product_int8,
            encode,
            refine,
            add_norm,
            activate,
            attend_f32,
            attend_bf16,
        };
    };
    (@functions $(#[$feature:meta])* ; $simd:ty => ) => {};
    (@functions $(#[$feature:meta])* ; $simd:ty =>
        fn $name:ident($($argument:ident: $kind:ty),*) = $body:expr; $($rest:tt)*) => {
        $(#[$feature])*
        unsafe fn $name($($argument: $kind),*) {
            // SAFETY: the caller's promise, see `Kernels`.
            unsafe { $body }
        }
        kernels!(@functions $(#[$feature])* ; $simd => $($rest)*);
    };
}
pub(super) use kernels;

/// Rows encoded for the next product.
///
/// In int8, [CLS] rows get 16 bits instead of 8. Trained encoders park a few huge values there (thirty times the rest in
/// MiniLM), which leave nothing of eight bits for all others; and [CLS] is the row that everything is read from. What
/// rounding leaves over is one more row of the product, whose result is added to the first. Measured on four layers of
/// MiniLM, with f32 in the last layer's second half: the error of [CLS] falls from 48 % to 3 % of its spread among lines.
#[derive(Debug, Default)]
pub(super) struct Encodings {
    words: Aligned<u32>,
    scales: Vec<RowScale>,
    stride: usize,
    /// Rows of the matrix, without the finer ones after them.
    rows: usize,
    /// Which rows those belong to: one after the other, all below `rows`. Empty unless int8.
    fine: Vec<usize>,
    /// The rows that will get them when int8 is encoded.
    wanted: Vec<usize>,
    /// The mean of the wanted rows of each product's input so far, in f32, if anybody asked.
    pub(super) record: Option<Vec<Vec<f32>>>,
}

impl Encodings {
    /// Which rows of the next matrices are [CLS].
    pub(super) fn set_fine(&mut self, rows: impl Iterator<Item = usize>) {
        self.wanted.clear();
        self.wanted.extend(rows);
    }

    fn room(&mut self, precision: Precision, rows: usize, width: usize) -> Encoded {
        (self.rows, self.stride) = (rows, width / values_per_word(precision));
        self.fine.clear();
        if precision == Precision::Int8 {
            self.fine.extend(self.wanted.iter().filter(|&&row| row < rows));
        }
        let all = self.all_rows();
        if self.scales.len() < all {
            self.scales.resize(all, RowScale::default());
        }
        let words = self.words.take(all * self.stride).as_mut_ptr();
        Encoded { precision, words, stride: self.stride, scales: self.scales.as_mut_ptr() }
    }

    /// Rows that a product computes: its result needs room for so many.
    fn all_rows(&self) -> usize {
        self.rows + self.fine.len()
    }

    fn record(&mut self) {
        let Some(record) = &mut self.record else { return };
        let mut mean = vec![0.0; self.stride];
        for &row in &self.wanted {
            let words = self.words.as_slice().iter().skip(row * self.stride);
            for (sum, &word) in mean.iter_mut().zip(words) {
                *sum += f32::from_bits(word) / self.wanted.len() as f32;
            }
        }
        record.push(mean);
    }
}

/// What attention needs to know of a line's place in its chunk.
#[derive(Clone, Copy)]
pub(super) struct Heads {
    pub(super) heads: usize,
    pub(super) head_width: usize,
    pub(super) half: bool,
}

impl Kernels {
    /// The table of `isa`, or of the portable kernels if this CPU lacks it.
    pub(super) fn of(isa: Isa) -> &'static Self {
        #[cfg(target_arch = "x86_64")]
        if isa.is_available() {
            return match isa {
                Isa::Avx512 if is_x86_feature_detected!("avx512bf16") => &super::avx512::with_bf16::KERNELS,
                Isa::Avx512 => &super::avx512::without_bf16::KERNELS,
                Isa::Avx2 => &super::avx2::KERNELS,
                Isa::Portable => &super::portable::vectors::KERNELS,
            };
        }
        &super::portable::vectors::KERNELS
    }

    /// The table for rows of any width.
    pub(super) fn of_any_width() -> &'static Self {
        &super::portable::scalar::KERNELS
    }

    /// `result = input · weights + bias`, `rows × outputs`, contiguous; `result` has room for [`Encodings::set_fine`]'s rows
    /// too.
    pub(super) fn multiply(&self, input: &mut Encodings, weights: &Packed, result: &mut [f32]) {
        input.record();
        let (rows, steps, outputs) = (input.all_rows(), weights.steps, weights.outputs);
        assert!(input.stride == steps && rows * outputs <= result.len(), "shapes of a product disagree");
        assert!(rows * steps <= input.words.as_slice().len() && rows <= input.scales.len());
        let columns = outputs.next_multiple_of(self.panel);
        let [bias, step, sum] = [&weights.bias, &weights.scale, &weights.sum].map(|each| each.as_slice());
        assert!(weights.words.as_slice().len() >= columns * steps && bias.len() >= columns);
        assert!(step.len() >= columns && sum.len() >= columns);
        for column in (0..outputs).step_by(self.panel) {
            let panel = Panel {
                rows,
                columns: self.panel.min(outputs - column),
                steps,
                left: input.words.as_slice().as_ptr(),
                left_stride: steps,
                right: weights.words.as_slice()[column * steps..].as_ptr(),
                result: result[column..].as_mut_ptr(),
                result_stride: outputs,
            };
            // SAFETY: the assertions above: `left` has `rows` rows of `steps`, the panel lies within the words, the three
            // vectors have a value for each column of it, and `result` has `rows` rows of `outputs`.
            unsafe {
                let at = |values: &[f32]| values[column..].as_ptr();
                match weights.precision {
                    Precision::F32 => (self.product_f32)(panel, at(bias)),
                    Precision::Bf16 => (self.product_bf16)(panel, at(bias)),
                    Precision::Int8 => (self.product_int8)(
                        panel,
                        Rescale { bias: at(bias), step: at(step), sum: at(sum), rows: input.scales.as_ptr() },
                    ),
                }
            }
        }
        let (rows, finer) = result.split_at_mut(input.rows * outputs);
        for (&row, finer) in input.fine.iter().zip(finer.chunks_exact(outputs)) {
            let row = &mut rows[row * outputs..(row + 1) * outputs];
            // Each has added the bias.
            for ((value, more), bias) in row.iter_mut().zip(finer).zip(bias) {
                *value += more - bias;
            }
        }
    }

    fn rows(&self, values: &mut [f32], width: usize) -> Rows {
        assert!(width > 0 && width.is_multiple_of(self.granularity) && values.len().is_multiple_of(width));
        Rows { rows: values.len() / width, width, values: values.as_mut_ptr() }
    }

    /// Encodes rows of `width`.
    pub(super) fn encode(&self, values: &mut [f32], width: usize, precision: Precision, to: &mut Encodings) {
        let rows = self.rows(values, width);
        let room = to.room(precision, rows.rows, width);
        // SAFETY: `rows` checked the shape, `room` made space for it and for `fine`, which are rows of it.
        unsafe {
            (self.encode)(rows, room);
            (self.refine)(rows, to.fine.as_ptr(), to.fine.len(), room);
        }
    }

    /// `x = norm(x + y)`, or `norm(x)` without `y`, by rows, which are also encoded.
    pub(super) fn add_norm(
        &self,
        x: &mut [f32],
        y: Option<&[f32]>,
        norm: &Norm,
        epsilon: f32,
        precision: Precision,
        to: &mut Encodings,
    ) {
        let width = norm.gain.len();
        let rows = self.rows(x, width);
        assert!(norm.bias.len() == width && y.is_none_or(|y| y.len() >= rows.rows * width));
        let y = y.map_or(std::ptr::null(), <[f32]>::as_ptr);
        let room = to.room(precision, rows.rows, width);
        // SAFETY: shapes were checked; as in `encode`.
        unsafe {
            (self.add_norm)(rows, y, norm.gain.as_ptr(), norm.bias.as_ptr(), epsilon, room);
            (self.refine)(rows, to.fine.as_ptr(), to.fine.len(), room);
        }
    }

    /// Applies the activation to rows of `width`, in place, and encodes them.
    pub(super) fn activate(
        &self,
        values: &mut [f32],
        width: usize,
        activation: Activation,
        precision: Precision,
        to: &mut Encodings,
    ) {
        let rows = self.rows(values, width);
        let room = to.room(precision, rows.rows, width);
        // SAFETY: as in `encode`.
        unsafe {
            (self.activate)(rows, activation, room);
            (self.refine)(rows, to.fine.as_ptr(), to.fine.len(), room);
        }
    }

    /// Attention of one line. Keys and values lie in rows of `stride`, at the two offsets; queries in rows of their own
    /// stride; `context` gets a row of `heads × head_width` a query.
    pub(super) fn attend(
        &self,
        heads: Heads,
        (query, query_stride): (&[f32], usize),
        (keys, stride, offsets): (&[f32], usize, [usize; 2]),
        context: &mut [f32],
        scratch: &mut Aligned<u32>,
    ) {
        let width = heads.heads * heads.head_width;
        let (rows, count) = (context.len() / width, keys.len() / stride);
        if count == 0 {
            return context.fill(0.0);
        }
        assert!(heads.head_width.is_multiple_of(self.granularity) && width <= query_stride);
        assert!(offsets.iter().all(|offset| offset + width <= stride) && count * stride == keys.len());
        assert!(rows == 0 || (rows - 1) * query_stride + width <= query.len());
        let half = heads.half && self.fast_bf16 && heads.head_width.is_multiple_of(2 * self.granularity);
        let line = attention::Line {
            heads: heads.heads,
            head_width: heads.head_width,
            queries: rows,
            keys: count,
            query: query.as_ptr(),
            query_stride,
            key: keys[offsets[0]..].as_ptr(),
            value: keys[offsets[1]..].as_ptr(),
            key_stride: stride,
            context: context.as_mut_ptr(),
            context_stride: width,
            scratch: scratch.take(attention::scratch_words(count.max(rows), heads.head_width)).as_mut_ptr(),
        };
        // SAFETY: rows were counted within their slices; the scratch has the words asked for; there is a key.
        unsafe { (if half { self.attend_bf16 } else { self.attend_f32 })(line) }
    }
}
