//! Values as they lie in a guest's memory, by the rules of the canonical ABI; also those that break the contract.

use tidegate::record::{Accumulated, Column, Field, Output, Rejection, Slices, Values, Verdicts};

/// Memory from an address on, which grows with what is put there. What is put there is a pointer and a length.
#[derive(Clone, Debug)]
pub struct Image {
    base: u32,
    bytes: Vec<u8>,
}

type List = (u32, u32);

impl Image {
    pub fn at(base: u32) -> Self {
        Image { base, bytes: Vec::new() }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> List {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let at = self.base + self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        (at, bytes.len() as u32)
    }

    pub fn words(&mut self, words: &[u32]) -> u32 {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.bytes(&bytes).0
    }

    pub fn fields(&mut self, fields: &[Field]) -> List {
        let mut words = Vec::new();
        for field in fields {
            let path = self.bytes(field.path.as_bytes());
            words.extend([path.0, path.1, field.kind as u32 | u32::from(field.required) << 8]);
        }
        (self.words(&words), fields.len() as u32)
    }

    pub fn identity(&mut self, name: &str, version: &str, schema: &str) -> u32 {
        let [name, version, schema] = [name, version, schema].map(|text| self.bytes(text.as_bytes()));
        self.words(&[name.0, name.1, version.0, version.1, schema.0, schema.1])
    }

    pub fn ports(&mut self, reads: &[Field], writes: &[Field]) -> u32 {
        let (reads, writes) = (self.fields(reads), self.fields(writes));
        self.words(&[0, reads.0, reads.1, writes.0, writes.1])
    }

    /// An answer of `configure` or `migrate` that is the guest's own words.
    pub fn words_of(&mut self, text: &str) -> u32 {
        let text = self.bytes(text.as_bytes());
        self.words(&[1, text.0, text.1, 0, 0])
    }

    pub fn state_description(&mut self, name: &str, version: u32, emit_reads: &[Field]) -> u32 {
        let (name, reads) = (self.bytes(name.as_bytes()), self.fields(emit_reads));
        self.words(&[name.0, name.1, version, reads.0, reads.1])
    }

    pub fn rejections(&mut self, rejections: &[Rejection]) -> List {
        let mut words = Vec::new();
        for rejection in rejections {
            let reason = self.bytes(rejection.reason.message.as_bytes());
            words.extend([rejection.row, reason.0, reason.1]);
        }
        (self.words(&words), rejections.len() as u32)
    }

    pub fn verdicts(&mut self, verdicts: &Verdicts) -> u32 {
        let (keep, rejected) = (self.bytes(&verdicts.keep), self.rejections(&verdicts.rejected));
        self.words(&[keep.0, keep.1, rejected.0, rejected.1])
    }

    pub fn slices(&mut self, slices: &Slices) -> [u32; 4] {
        let (offsets, bytes) = (self.words(&slices.offsets), self.bytes(&slices.bytes));
        [offsets, slices.offsets.len() as u32, bytes.0, bytes.1]
    }

    /// Tag, five words of values, two of presence.
    pub fn column(&mut self, column: &Column) -> [u32; 7] {
        let longs = |image: &mut Image, longs: Vec<[u8; 8]>| (image.bytes(&longs.concat()).0, longs.len() as u32);
        let (tag, values, more) = match &column.values {
            Values::Presence => (0, (0, 0), (0, 0)),
            Values::Booleans(values) => (1, self.bytes(values), (0, 0)),
            Values::Integers(values) => (2, longs(self, values.iter().map(|one| one.to_le_bytes()).collect()), (0, 0)),
            Values::Floats(values) => (3, longs(self, values.iter().map(|one| one.to_le_bytes()).collect()), (0, 0)),
            Values::Slices(values) => {
                let [offsets, count, bytes, len] = self.slices(values);
                (4, (offsets, count), (bytes, len))
            }
        };
        let present = self.bytes(&column.present);
        [tag, values.0, values.1, more.0, more.1, present.0, present.1]
    }

    pub fn output(&mut self, output: &Output) -> u32 {
        let rows = output.rows.as_ref().map_or([0, 0, 0], |rows| [1, self.words(rows), rows.len() as u32]);
        let columns: Vec<u32> = output.columns.iter().flat_map(|column| self.column(column)).collect();
        let (columns, rejected) = (self.words(&columns), self.rejections(&output.rejected));
        self.words(&[rows[0], rows[1], rows[2], columns, output.columns.len() as u32, rejected.0, rejected.1])
    }

    pub fn accumulated(&mut self, accumulated: &Accumulated) -> u32 {
        let states = self.slices(&accumulated.states);
        let rejected = self.rejections(&accumulated.rejected);
        self.words(&[states[0], states[1], states[2], states[3], rejected.0, rejected.1])
    }

    /// An answer of `merge`.
    pub fn states(&mut self, states: &Slices) -> u32 {
        let states = self.slices(states);
        self.words(&states)
    }

    /// An answer of `migrate`.
    pub fn migrated(&mut self, states: &Slices) -> u32 {
        let [offsets, count, bytes, len] = self.slices(states);
        self.words(&[0, offsets, count, bytes, len])
    }
}
