//! Lists: of items that repeat with the same bytes between, two are kept, and `…` says that more came.
//!
//! ```text
//! 3552 3534 3375 3515      ─► <num> <num>…
//! blk_1 blk_2 blk_3        ─► blk_<num> blk_<num>…
//! n-1 a0 <ok> n-2 b1 <ok>… ─► pairs repeat too
//! ```

use super::bytes::is_alphanumeric;
use super::class::Class;

/// The most bytes between two items of a list.
const SEPARATOR: usize = 24;

/// A class in the output with what was written since the class before it.
#[derive(Debug, Clone, Copy)]
struct Item {
    class: Class,
    /// The end of the item before, behind its `…`.
    start: usize,
    /// Where its class starts and ends.
    class_start: usize,
    end: usize,
}

/// The last items, the latest last: two pairs, or two and what came before them.
#[derive(Debug)]
pub(super) struct Repeats {
    items: [Item; 4],
    /// Where the next item starts.
    start: usize,
}

/// Stands where no item was: lists with nothing.
const NONE: Item = Item { class: Class::Verbatim, start: 0, class_start: 0, end: 0 };

impl Repeats {
    /// Nothing written yet.
    pub(super) fn new(start: usize) -> Self {
        Self { items: [NONE; 4], start }
    }

    /// Notes the class that `out` ends with; takes it, and its partner, off again where they continue a list.
    #[inline]
    pub(super) fn shorten(&mut self, out: &mut String, class: Class, class_start: usize) {
        let item = Item { class, start: self.start, class_start, end: out.len() };
        let [ago4, ago3, ago2, ago1] = self.items;
        // Classes first: text is compared only where they already fit.
        if class.lists_with(ago1.class) && ago1.class.lists_with(ago2.class) && repeats(out, item, ago1) {
            self.cut(out, item.start, ago1.end);
        } else if class == ago2.class
            && class == ago4.class
            && ago1.class == ago3.class
            && class != Class::Verbatim
            && repeats(out, item, ago2)
            && repeats(out, ago1, ago3)
        {
            self.cut(out, ago1.start, ago2.end);
            self.items = [NONE, ago4, ago3, ago2];
        } else {
            self.items = [ago3, ago2, ago1, item];
            self.start = item.end;
        }
    }

    /// Takes off what begins at `start`. If the list was shortened before, its `…` stands between `end` and `start`.
    fn cut(&mut self, out: &mut String, start: usize, end: usize) {
        out.truncate(start);
        if start == end {
            out.push('…');
        }
        self.start = out.len();
    }
}

/// Whether the same bytes stand before two items. Numbers of different kinds are one list only where no words between
/// tell what each of them is.
fn repeats(out: &str, item: Item, before: Item) -> bool {
    let separator = out.get(item.start..item.class_start).unwrap_or_default();
    (1..=SEPARATOR).contains(&separator.len())
        && !separator.contains('…')
        && out.get(before.start..before.class_start) == Some(separator)
        && (item.class == before.class || !separator.bytes().any(is_alphanumeric))
}
