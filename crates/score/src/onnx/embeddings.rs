//! The sum of embeddings under the first layer norm: words, positions, and token types, of which every line is type 0.

use super::{
    OnnxError,
    graph::{Graph, attribute, int, operator},
    tensor::Constant,
};

/// The two tables, and the width of their rows.
pub(super) struct Tables {
    pub(super) word: Vec<f32>,
    /// With token type 0 added.
    pub(super) position: Vec<f32>,
}

/// What rows a Gather takes from its table.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Index {
    /// Those of the input's tokens.
    Tokens,
    /// 0, 1, 2, …; of a stored list only so many.
    Counting(Option<usize>),
    /// The same one everywhere.
    Same(i64),
}

impl<'a> Graph<'a> {
    /// Reads the sum of embeddings.
    ///
    /// # Errors
    /// [`OnnxError`], naming the term that is not one of BERT's.
    pub(super) fn embeddings(&self, sum: &'a str, hidden: usize) -> Result<Tables, OnnxError> {
        let expected = "the sum of word, position and token type embeddings";
        let mut word = None;
        let mut position: Option<Vec<f32>> = None;
        let mut everywhere = vec![0.0; hidden];
        for term in self.terms(sum, "Add") {
            let (table, index) = match self.constant(term)? {
                Some(table) => (table, Index::Counting(None)),
                None => self.gathered(term, expected)?,
            };
            let (rows, floats) = self.rows(term, table, hidden)?;
            let row = |index: i64| {
                let start = usize::try_from(index).ok().filter(|index| *index < rows)? * hidden;
                floats.get(start..start + hidden)
            };
            match index {
                Index::Tokens if word.is_none() => word = Some(floats),
                Index::Tokens => return Err(self.refuse(term, "one word embedding")),
                // A constant of one row is added to every position.
                Index::Counting(None) if rows == 1 => add(&mut everywhere, &floats),
                Index::Counting(limit) => {
                    let length = limit.unwrap_or(rows).min(rows) * hidden;
                    let floats = floats.get(..length).unwrap_or_default();
                    let position = position.get_or_insert_with(|| vec![0.0; length]);
                    position.truncate(length);
                    add(position, floats);
                }
                Index::Same(index) => match row(index) {
                    Some(row) => add(&mut everywhere, row),
                    None => return Err(self.refuse(term, "a row within its table")),
                },
            }
        }
        let (Some(word), Some(mut position)) = (word, position) else {
            return Err(self.refuse(sum, expected));
        };
        for row in position.chunks_exact_mut(hidden) {
            add(row, &everywhere);
        }
        Ok(Tables { word, position })
    }

    /// The table of a Gather, and which of its rows it takes.
    fn gathered(&self, value: &'a str, expected: &str) -> Result<(Constant, Index), OnnxError> {
        let node = self.expect(value, &["Gather", "Slice"], expected)?;
        let table = node.input.first().map(|table| self.constant(table)).transpose()?.flatten();
        let index = match (operator(node), node.input.as_slice()) {
            ("Gather", [_, indices]) if int(node, "axis").unwrap_or(0) == 0 => self.index(indices, 0),
            ("Slice", _) if self.is_from_start(node) => Some(Index::Counting(None)),
            _ => None,
        };
        match (table, index) {
            (Some(table), Some(index)) => Ok((table, index)),
            _ => Err(self.refuse(value, expected)),
        }
    }

    /// The rows of a table, and their numbers; of a table for each line of a batch, which are all alike, the first.
    fn rows(&self, term: &'a str, table: Constant, hidden: usize) -> Result<(usize, Vec<f32>), OnnxError> {
        let expected = format!("a table with rows of {hidden} numbers");
        let refuse = || self.refuse(term, &expected);
        let (batch, rows) = match *table.dimensions.as_slice() {
            [width] if width == hidden => (1, 1),
            [rows, width] if width == hidden => (1, rows),
            [batch, rows, width] if width == hidden => (batch, rows),
            _ => return Err(refuse()),
        };
        let floats = table.floats().ok_or_else(refuse)?;
        let first =
            floats.get(..rows.saturating_mul(hidden)).filter(|first| !first.is_empty()).ok_or_else(refuse)?;
        let alike = batch == 1 || floats.chunks(first.len()).all(|each| each == first);
        if alike { Ok((rows, first.to_vec())) } else { Err(refuse()) }
    }

    /// What is known of indices before the model runs.
    fn index(&self, value: &'a str, depth: usize) -> Option<Index> {
        self.descend(depth)?;
        if let Ok(Some(constant)) = self.constant(value) {
            return index_of_constant(&constant);
        }
        let value = self.origin(value);
        let Some(node) = self.maker(value) else {
            return match value {
                "input_ids" => Some(Index::Tokens),
                "token_type_ids" => Some(Index::Same(0)),
                "position_ids" => Some(Index::Counting(None)),
                _ => None,
            };
        };
        let part = |position: usize| self.index(node.input.get(position)?, depth + 1);
        match operator(node) {
            "Unsqueeze" | "Squeeze" | "Expand" | "Reshape" => part(0),
            "Slice" if self.is_from_start(node) => part(0),
            "Slice" => part(0).filter(|index| matches!(index, Index::Same(_))),
            "Range" => {
                let (start, step) =
                    (self.number(node.input.first()?, 0)?, self.number(node.input.get(2)?, 0)?);
                (start == 0.0 && step == 1.0).then_some(Index::Counting(None))
            }
            "ConstantOfShape" => match attribute(node, "value").and_then(|value| value.t.as_ref()) {
                Some(tensor) => index_of_constant(&Constant::read(tensor).ok()?),
                None => Some(Index::Same(0)),
            },
            // Whatever is taken from equal numbers is that number.
            "Gather" | "GatherElements" => part(0).filter(|index| matches!(index, Index::Same(_))),
            "Add" => match (part(0)?, part(1)?) {
                (index, Index::Same(0)) | (Index::Same(0), index) => Some(index),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether a Slice begins at the start and leaves nothing out up to where it ends.
    fn is_from_start(&self, slice: &'a super::proto::Node) -> bool {
        let is = |position: usize, number: i64| match slice
            .input
            .get(position)
            .filter(|value| !value.is_empty())
        {
            Some(value) => {
                self.integers(value, 0).is_some_and(|list| list.iter().all(|n| *n == Some(number)))
            }
            None => position == 4,
        };
        is(1, 0) && is(4, 1)
    }
}

fn index_of_constant(constant: &Constant) -> Option<Index> {
    let integers = constant.integers()?;
    let first = *integers.first()?;
    if integers.iter().all(|integer| *integer == first) {
        return Some(Index::Same(first));
    }
    let length = *constant.dimensions.last()?;
    let counts = |row: &[i64]| row.iter().zip(0..).all(|(integer, position)| *integer == position);
    (length > 0 && integers.chunks(length).all(counts)).then_some(Index::Counting(Some(length)))
}

fn add(sum: &mut [f32], term: &[f32]) {
    for (sum, term) in sum.iter_mut().zip(term) {
        *sum += term;
    }
}
