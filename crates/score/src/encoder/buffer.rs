//! A growing buffer whose first element lies on a cache line: vector loads that cross lines cost double.

/// At least as long as the longest request so far, aligned to 64 bytes.
#[derive(Debug, Clone)]
pub(super) struct Aligned<T> {
    storage: Vec<T>,
    start: usize,
    len: usize,
}

impl<T> Default for Aligned<T> {
    fn default() -> Self {
        Self { storage: Vec::new(), start: 0, len: 0 }
    }
}

impl<T: Copy + Default> Aligned<T> {
    /// A buffer of `len` zeros.
    pub(super) fn zeros(len: usize) -> Self {
        let mut buffer = Self::default();
        buffer.take(len);
        buffer
    }

    /// The first `len` elements, with whatever an earlier use left in them; grows if needed.
    pub(super) fn take(&mut self, len: usize) -> &mut [T] {
        if len > self.len || self.storage.is_empty() {
            // Up to 64 bytes are skipped to reach a cache line. The vector is never grown in place, which could move it.
            self.storage = vec![T::default(); len + 64 / size_of::<T>()];
            self.start = self.storage.as_ptr().align_offset(64);
            self.len = len;
        }
        &mut self.storage[self.start..self.start + len]
    }

    /// All elements.
    pub(super) fn as_slice(&self) -> &[T] {
        &self.storage[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_aligned_and_grows() {
        let mut buffer = Aligned::<f32>::default();
        for len in [0, 1, 100, 7, 5000] {
            let slice = buffer.take(len);
            assert_eq!((slice.len(), slice.as_ptr() as usize % 64), (len, 0));
        }
        assert_eq!(Aligned::<u8>::zeros(3).as_slice(), [0; 3]);
    }
}
