//! Sixteen bytes of a string at once: which of them end plain text. Every hot loop over strings rests on this leaf.

/// A bit for each of 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Bits {
    /// A quote, a backslash or a control character.
    special: u32,
    /// Not ASCII. Never marks less than it should.
    high: u32,
}

pub(super) const BYTES: usize = 16;

/// SSE2 is part of every x86-64 processor, so nothing is detected at run time.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn bits(chunk: [u8; BYTES]) -> Bits {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
    };
    let word = u128::from_le_bytes(chunk);
    // SAFETY: SSE2 is part of every x86-64 processor, and these intrinsics ask for nothing else: they take values.
    unsafe {
        // The two halves become one unaligned load.
        let bytes = _mm_set_epi64x((word >> 64) as i64, word as i64);
        let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
        let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
        let control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
        let special = _mm_or_si128(_mm_or_si128(quote, backslash), control);
        Bits { special: _mm_movemask_epi8(special) as u32, high: _mm_movemask_epi8(bytes) as u32 }
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn bits(chunk: [u8; BYTES]) -> Bits {
    bits_portable(chunk)
}

/// The same eight bytes at a time, for other processors.
#[cfg(any(test, not(target_arch = "x86_64")))]
fn bits_portable(chunk: [u8; BYTES]) -> Bits {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    // The top bit of each byte to a bit of its own: the products meet in the top byte without carries.
    let gather = |word: u64| ((word & HIGHS) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    // Exact for each byte: 0x80 where the byte is zero. Additions stay within a byte.
    let zeros = |word: u64| !(((word & !HIGHS) + !HIGHS) | word) & HIGHS;
    let halves = u128::from_le_bytes(chunk);
    let half = |word: u64| {
        let special = zeros(word ^ (ONES * u64::from(b'"')))
            | zeros(word ^ (ONES * u64::from(b'\\')))
            | zeros(word & (ONES * 0xe0));
        (gather(special) as u32, gather(word) as u32)
    };
    let ((low, low_high), (high, high_high)) = (half(halves as u64), half((halves >> 64) as u64));
    Bits { special: low | high << 8, high: low_high | high_high << 8 }
}

/// The special bytes of a whole value, a bit for each byte.
#[derive(Default)]
pub(super) struct Marks {
    blocks: Vec<u64>,
}

/// Bytes in a block.
pub(super) const BLOCK: usize = 64;

impl Marks {
    /// Marks a value, and tells whether all its bytes are ASCII. Behind its end the first byte at least is special.
    pub(super) fn take(&mut self, value: &[u8]) -> bool {
        let (blocks, rest) = value.as_chunks::<BLOCK>();
        if self.blocks.len() <= blocks.len() {
            self.blocks.resize(blocks.len() + 1, 0);
        }
        let mut high = 0;
        for (block, marks) in blocks.iter().zip(&mut self.blocks) {
            *marks = mark(block, &mut high);
        }
        // Zeros follow the last bytes, which are control characters.
        let mut last = [0; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        if let Some(marks) = self.blocks.get_mut(blocks.len()) {
            *marks = mark(&last, &mut high);
        }
        high == 0
    }

    /// The marks of a block, its first byte lowest.
    #[inline(always)]
    pub(super) fn block(&self, block: usize) -> u64 {
        // Behind the end all are special.
        self.blocks.get(block).copied().unwrap_or(u64::MAX)
    }
}

#[inline(always)]
fn mark(block: &[u8; BLOCK], high: &mut u32) -> u64 {
    let (chunks, _) = block.as_chunks::<BYTES>();
    let mut marks = 0;
    for (at, chunk) in chunks.iter().enumerate() {
        let bits = bits(*chunk);
        marks |= u64::from(bits.special) << (at * BYTES);
        *high |= bits.high;
    }
    marks
}

/// Where in a chunk the first byte is that ends plain text.
#[inline(always)]
pub(super) fn first_special(chunk: [u8; BYTES]) -> Option<usize> {
    let special = bits(chunk).special;
    (special != 0).then(|| special.trailing_zeros() as usize)
}

/// How many of eight bytes, from the first on, are digits.
#[inline(always)]
pub(super) fn leading_digits(chunk: [u8; 8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let word = u64::from_le_bytes(chunk) ^ (ONES * 0x30);
    // The top bit of a byte is set where it is 10 or more. A carry can only come out of a byte that has it set, so the first
    // one is right.
    let others = (word.wrapping_add(ONES * 0x76) | word) & (ONES * 0x80);
    others.trailing_zeros() as usize / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_those_of_each_byte() {
        for seed in 0..=255_u8 {
            for at in 0..BYTES {
                let mut chunk = [0; BYTES];
                for (place, byte) in chunk.iter_mut().enumerate() {
                    *byte = seed.wrapping_mul(31).wrapping_add((place * 37) as u8);
                }
                chunk[at] = seed;
                let mark = |test: fn(u8) -> bool| {
                    chunk.iter().enumerate().fold(0, |marks, (place, byte)| marks | u32::from(test(*byte)) << place)
                };
                let expected = Bits {
                    special: mark(|byte| byte == b'"' || byte == b'\\' || byte < 0x20),
                    high: mark(|byte| byte >= 0x80),
                };
                assert_eq!(bits(chunk), expected, "{chunk:?}");
                assert_eq!(bits_portable(chunk), expected, "{chunk:?}");
            }
        }
    }
    #[test]
    fn blocks_mark_the_special_bytes_and_the_end() {
        let mut marks = Marks::default();
        for length in (0..200).rev() {
            let mut value = vec![b'x'; length];
            value.iter_mut().step_by(23).for_each(|byte| *byte = b'"');
            assert!(marks.take(&value));
            for at in 0..=length {
                let marked = marks.block(at / BLOCK) >> (at % BLOCK) & 1 == 1;
                assert_eq!(marked, at % 23 == 0 || at == length, "{at} of {length}");
            }
            if let Some(last) = value.last_mut() {
                *last = 0xc3;
                assert!(!marks.take(&value));
            }
        }
    }

    #[test]
    fn digits_are_counted_up_to_the_first_other_byte() {
        for other in 0..=255_u8 {
            for at in 0..8 {
                for digit in [b'0', b'9'] {
                    let mut chunk = [digit; 8];
                    chunk[at] = other;
                    let expected = chunk.iter().take_while(|byte| byte.is_ascii_digit()).count();
                    assert_eq!(leading_digits(chunk), expected, "{chunk:?}");
                }
            }
        }
    }
}
