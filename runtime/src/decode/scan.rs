//! The pass over a record: the whole value is checked as JSON, and the spans of the fields in the plan are noted. No
//! tree, no copies, no allocation, and no recursion that a record can drive (only the plan's own depth does).

use super::DEPTH_MAX;
use super::chunk::{self, Marks};
use super::fault::{Fault, What};
use super::plan::{Node, Plan, ROOT, Slot};
use super::span::{Shape, Span, VALUE_BYTES_MAX};

pub(super) use super::text::unescape;

/// Checks that `value` is one JSON object in UTF-8, and notes where the plan's fields are. `spans` has one for each slot, all
/// absent. The marks are only memory that is used again.
pub(super) fn object(plan: &Plan, value: &[u8], spans: &mut [Span], marks: &mut Marks) -> Result<(), Fault> {
    debug_assert!(spans.len() == plan.len() && spans.iter().all(|span| *span == Span::ABSENT));
    whole(value, marks, |scanner| {
        if scanner.space() != b'{' {
            // Whether it is JSON at all is worth knowing to whoever mends the producer.
            scanner.skip(0)?;
            return Err(Fault { at: 0, what: What::NotAnObject });
        }
        let start = scanner.at;
        scanner.object(plan, plan.node(ROOT), 0, spans)?;
        spans[ROOT] = Span::new(start, scanner.at, Shape::Object, false);
        Ok(())
    })
}

/// Checks that `value` is one JSON value in UTF-8 that may lie `depth` levels deep, and tells where and what it is.
pub(super) fn value(value: &[u8], depth: usize) -> Result<Span, Fault> {
    whole(value, &mut Marks::default(), |scanner| {
        scanner.space();
        let start = scanner.at;
        let shape = scanner.skip(depth)?;
        Ok(Span::new(start, scanner.at, shape, false))
    })
}

/// Calls `member` for each member of the object that begins at `start` of a checked value, with the place of its key
/// (within the quotes), whether that has escapes, and the end of its value.
pub(super) fn members(value: &[u8], start: usize, mut member: impl FnMut(std::ops::Range<usize>, bool, usize)) {
    let mut marks = Marks::default();
    marks.take(value);
    let mut scanner = Scanner::new(value, &marks);
    let mut walk = || -> Result<(), Fault> {
        scanner.at = start + 1;
        while scanner.space() == b'"' {
            scanner.at += 1;
            let key = scanner.at;
            let escaped = scanner.string()?;
            let key = key..scanner.at - 1;
            scanner.colon()?;
            // What was checked is not too deep.
            scanner.skip(0)?;
            member(key, escaped, scanner.at);
            if scanner.space() == b',' {
                scanner.at += 1;
            }
        }
        Ok(())
    };
    let walked = walk();
    debug_assert_eq!(walked, Ok(()), "the value was checked");
}

/// One value and nothing behind it, in UTF-8.
#[inline(always)]
fn whole<T>(value: &[u8], marks: &mut Marks, read: impl FnOnce(&mut Scanner) -> Result<T, Fault>) -> Result<T, Fault> {
    match value.len() {
        0 => return Err(Fault { at: 0, what: What::Empty }),
        length if length > VALUE_BYTES_MAX => return Err(Fault { at: VALUE_BYTES_MAX, what: What::Long }),
        _ => {}
    }
    let is_ascii = marks.take(value);
    let mut scanner = Scanner::new(value, marks);
    let read = read(&mut scanner)?;
    scanner.space();
    if scanner.at != value.len() {
        return scanner.fault(What::Trailing);
    }
    if !is_ascii && simdutf8::basic::from_utf8(value).is_err() {
        let at = std::str::from_utf8(value).map_or_else(|error| error.valid_up_to(), str::len);
        return Err(Fault { at, what: What::Utf8 });
    }
    Ok(read)
}

struct Scanner<'a> {
    bytes: &'a [u8],
    marks: &'a Marks,
    at: usize,
    /// The block of the string that was read last, and its marks: one string need not wait for memory to find the next.
    block: usize,
    block_marks: u64,
}

impl<'a> Scanner<'a> {
    #[inline(always)]
    fn new(bytes: &'a [u8], marks: &'a Marks) -> Self {
        Scanner { bytes, marks, at: 0, block: 0, block_marks: marks.block(0) }
    }

    #[cold]
    #[inline(never)]
    fn fault<T>(&self, what: What) -> Result<T, Fault> {
        Err(Fault { at: self.at.min(self.bytes.len()), what })
    }

    /// The byte here; 0 at the end, which begins nothing.
    #[inline(always)]
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    /// The next byte that is not white space.
    #[inline(always)]
    fn space(&mut self) -> u8 {
        let mut byte = self.peek();
        while matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
            byte = self.peek();
        }
        byte
    }

    #[inline(always)]
    fn colon(&mut self) -> Result<u8, Fault> {
        if self.space() != b':' {
            return self.fault(What::Colon);
        }
        self.at += 1;
        Ok(self.space())
    }

    /// An object of the plan, from its brace on; `depth` is that of what it lies in.
    fn object(&mut self, plan: &Plan, node: &Node, depth: usize, spans: &mut [Span]) -> Result<(), Fault> {
        let depth = depth + 1;
        if depth > DEPTH_MAX {
            return self.fault(What::Deep);
        }
        self.at += 1;
        if self.space() == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek() != b'"' {
                return self.fault(What::Key);
            }
            self.at += 1;
            let start = self.at;
            let escaped = self.string()?;
            let key = &self.bytes[start..self.at - 1];
            self.colon()?;
            let child = if escaped { node.child_escaped(key) } else { node.child(key) };
            match child {
                None => {
                    self.skip(depth)?;
                }
                Some(slot) => self.field(plan, slot, depth, spans)?,
            }
            match self.space() {
                b',' => {
                    self.at += 1;
                    self.space();
                }
                b'}' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.fault(What::CommaOrEnd),
            }
        }
    }

    /// The value of a field of the plan.
    #[inline]
    fn field(&mut self, plan: &Plan, slot: Slot, depth: usize, spans: &mut [Span]) -> Result<(), Fault> {
        let start = self.at;
        let node = plan.node(slot);
        let repeated = spans[slot].shape() != Shape::Absent;
        if repeated {
            // The last of several counts, and with it what is in it.
            spans[slot..node.end].fill(Span::ABSENT);
        }
        let shape = if node.has_children() && self.peek() == b'{' {
            self.object(plan, node, depth, spans)?;
            Shape::Object
        } else {
            self.skip(depth)?
        };
        spans[slot] = Span::new(start, self.at, shape, repeated);
        Ok(())
    }

    /// Any value, from its first byte on; `outside` levels are open around it.
    #[inline]
    fn skip(&mut self, outside: usize) -> Result<Shape, Fault> {
        match self.peek() {
            b'"' => {
                self.at += 1;
                Ok(if self.string()? { Shape::Escaped } else { Shape::Text })
            }
            b'-' | b'0'..=b'9' => self.number(),
            b'{' => {
                self.container(outside)?;
                Ok(Shape::Object)
            }
            b'[' => {
                self.container(outside)?;
                Ok(Shape::Array)
            }
            _ => self.word(),
        }
    }

    /// An object or array of which nothing is wanted.
    fn container(&mut self, outside: usize) -> Result<(), Fault> {
        // One bit for each open level, the innermost lowest: 1 for an object.
        let mut open: u128 = 0;
        let mut depth = outside;
        loop {
            // At the first byte of a value.
            match self.peek() {
                b'"' => {
                    self.at += 1;
                    self.string()?;
                }
                b'-' | b'0'..=b'9' => {
                    self.number()?;
                }
                byte @ (b'{' | b'[') => {
                    if depth == DEPTH_MAX {
                        return self.fault(What::Deep);
                    }
                    self.at += 1;
                    let (inside, end) = (self.space(), if byte == b'{' { b'}' } else { b']' });
                    if inside == end {
                        self.at += 1;
                    } else {
                        depth += 1;
                        open = open << 1 | u128::from(byte == b'{');
                        if byte == b'{' {
                            self.key()?;
                        }
                        continue;
                    }
                }
                _ => {
                    self.word()?;
                }
            }
            // Behind a value.
            loop {
                if depth == outside {
                    return Ok(());
                }
                let in_object = open & 1 == 1;
                match self.space() {
                    b',' => {
                        self.at += 1;
                        self.space();
                        if in_object {
                            self.key()?;
                        }
                        break;
                    }
                    b'}' if in_object => {}
                    b']' if !in_object => {}
                    _ => return self.fault(What::CommaOrEnd),
                }
                self.at += 1;
                depth -= 1;
                open >>= 1;
            }
        }
    }

    /// A key and its colon; leaves off at the value.
    #[inline(always)]
    fn key(&mut self) -> Result<(), Fault> {
        if self.peek() != b'"' {
            return self.fault(What::Key);
        }
        self.at += 1;
        self.string()?;
        self.colon()?;
        Ok(())
    }

    /// A string, from behind its opening quote to behind its closing one; tells whether it has escapes.
    #[inline(always)]
    fn string(&mut self) -> Result<bool, Fault> {
        let mut escaped = false;
        loop {
            let block = self.at / chunk::BLOCK;
            if block != self.block {
                self.block = block;
                self.block_marks = self.marks.block(block);
            }
            let marks = self.block_marks >> (self.at % chunk::BLOCK);
            if marks == 0 {
                self.at = (block + 1) * chunk::BLOCK;
                continue;
            }
            self.at += marks.trailing_zeros() as usize;
            match self.peek() {
                b'"' => {
                    self.at += 1;
                    return Ok(escaped);
                }
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return self.fault(if self.at < self.bytes.len() { What::Control } else { What::EndInString }),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        let rest = &self.bytes[self.at..];
        self.at += match rest.get(1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') if rest.get(2..6).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) => 6,
            Some(_) | None => return self.fault(What::Escape),
        };
        Ok(())
    }

    #[inline(always)]
    fn number(&mut self) -> Result<Shape, Fault> {
        if self.peek() == b'-' {
            self.at += 1;
        }
        match self.peek() {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits(),
            _ => return self.fault(What::Number),
        }
        let mut shape = Shape::Integer;
        if self.peek() == b'.' {
            self.at += 1;
            if !self.peek().is_ascii_digit() {
                return self.fault(What::Number);
            }
            self.digits();
            shape = Shape::Decimal;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            if !self.peek().is_ascii_digit() {
                return self.fault(What::Number);
            }
            self.digits();
            shape = Shape::Decimal;
        }
        // What may follow is judged by the caller; a digit cannot be here but after a leading zero.
        if self.peek().is_ascii_digit() { self.fault(What::Number) } else { Ok(shape) }
    }

    #[inline(always)]
    fn digits(&mut self) {
        // Eight at once: how many there are is not to be guessed by the branch predictor.
        while let Some(chunk) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) {
            let digits = chunk::leading_digits(*chunk);
            self.at += digits;
            if digits < 8 {
                return;
            }
        }
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
    }

    fn word(&mut self) -> Result<Shape, Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let (length, shape) = match rest {
            [b't', b'r', b'u', b'e', ..] => (4, Shape::True),
            [b'n', b'u', b'l', b'l', ..] => (4, Shape::Null),
            [b'f', b'a', b'l', b's', b'e', ..] => (5, Shape::False),
            [b't' | b'n' | b'f' | b'N' | b'I', ..] => return self.fault(What::Literal),
            _ => return self.fault(What::Value),
        };
        self.at += length;
        Ok(shape)
    }
}
