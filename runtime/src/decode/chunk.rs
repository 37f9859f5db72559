//! Sixteen bytes of a string at once: which of them end plain text. Every hot loop over strings rests on this leaf.

/// A bit for each of 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Marks {
    /// A quote, a backslash or a control character.
    pub(super) special: u32,
    /// Not ASCII. Never marks less than it should.
    pub(super) high: u32,
}

pub(super) const BYTES: usize = 16;

/// SSE2 is part of every x86-64 processor, so nothing is detected at run time.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn marks(chunk: [u8; BYTES]) -> Marks {
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
        Marks { special: _mm_movemask_epi8(special) as u32, high: _mm_movemask_epi8(bytes) as u32 }
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(super) fn marks(chunk: [u8; BYTES]) -> Marks {
    marks_portable(chunk)
}

/// The same eight bytes at a time, for other processors.
#[cfg(any(test, not(target_arch = "x86_64")))]
fn marks_portable(chunk: [u8; BYTES]) -> Marks {
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
    Marks { special: low | high << 8, high: low_high | high_high << 8 }
}

/// Notes the special bytes of a whole value, a bit for each byte, and tells whether all are ASCII. Behind the end of the
/// value all are special.
pub(super) fn mark(value: &[u8], marks_of: &mut Vec<u8>) -> bool {
    let (chunks, rest) = value.as_chunks::<BYTES>();
    marks_of.clear();
    marks_of.resize((chunks.len() + 1) * 2 + WINDOW_BYTES, 0xff);
    let (words, _) = marks_of.as_chunks_mut::<2>();
    let mut high = 0;
    for (chunk, word) in chunks.iter().zip(&mut *words) {
        let marks = marks(*chunk);
        high |= marks.high;
        *word = (marks.special as u16).to_le_bytes();
    }
    // Zeros follow the last bytes, which are control characters.
    let mut last = [0; BYTES];
    last[..rest.len()].copy_from_slice(rest);
    let marks = marks(last);
    words[chunks.len()] = (marks.special as u16).to_le_bytes();
    (high | marks.high) == 0
}

const WINDOW_BYTES: usize = 8;

/// The marks of the bytes from `at` on, the first one lowest: at least 57 of them, and zeros behind.
#[inline(always)]
pub(super) fn window(marks: &[u8], at: usize) -> u64 {
    match marks.get(at / 8..).and_then(<[u8]>::first_chunk::<WINDOW_BYTES>) {
        Some(bytes) => u64::from_le_bytes(*bytes) >> (at % 8),
        // Behind the end, where all are special.
        None => 1,
    }
}

/// The first byte that the window from `at` on did not show.
#[inline(always)]
pub(super) fn behind_window(at: usize) -> usize {
    at / 8 * 8 + 64
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
                let expected = Marks {
                    special: mark(|byte| byte == b'"' || byte == b'\\' || byte < 0x20),
                    high: mark(|byte| byte >= 0x80),
                };
                assert_eq!(marks(chunk), expected, "{chunk:?}");
                assert_eq!(marks_portable(chunk), expected, "{chunk:?}");
            }
        }
    }
    #[test]
    fn windows_show_the_first_special_byte() {
        for length in 0..200 {
            let mut value = vec![b'x'; length];
            for at in (0..length).step_by(23) {
                value[at] = b'"';
            }
            let mut marks = vec![7; 500];
            assert!(mark(&value, &mut marks));
            for from in 0..length {
                let mut at = from;
                while window(&marks, at) == 0 {
                    at = behind_window(at);
                }
                at += window(&marks, at).trailing_zeros() as usize;
                assert_eq!(at, from.next_multiple_of(23).min(length), "{from} of {length}");
            }
            if length > 0 {
                value[length - 1] = 0xc3;
                assert!(!mark(&value, &mut marks));
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
