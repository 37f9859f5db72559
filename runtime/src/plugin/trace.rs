//! Where a guest was when it broke: names of functions, and places in its source, as far as the component has them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::{FrameInfo, WasmBacktrace};

use super::pace::Place;

/// Places that are told apart; beyond them the log is silent.
const CAUSES_MAX: usize = 64;
/// What a dead letter's reason has of a trace.
const SHORT_FRAMES: usize = 3;
const NAME_BYTES_MAX: usize = 120;

/// What stands around an author's code and says nothing of it: the machinery of panics, allocation, and the border.
const MACHINERY: [&str; 9] =
    ["__rust", "__rg_", "_rdl_", "rust_", "core::", "std::", "alloc::", "tidegate:plugin/", "tidegate_sdk::"];

/// The frames of a guest, innermost first.
#[derive(Default, Debug)]
pub(super) struct Trace(Vec<Frame>);

#[derive(Debug)]
struct Frame {
    name: String,
    /// File and line.
    place: Option<String>,
}

impl Trace {
    pub fn of(error: &wasmtime::Error) -> Self {
        let frames = error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::frames).unwrap_or_default();
        Trace(frames.iter().flat_map(frames_of).collect())
    }

    /// The author's functions in a few words, with something in front where there are any.
    pub fn short(&self) -> String {
        self.short_of(|_| true)
    }

    /// The same beside last words that say what happened. Functions outside of any module are then those of an interpreter,
    /// wherever it was when it gave up.
    pub fn short_after_words(&self) -> String {
        self.short_of(|frame| frame.name.contains("::"))
    }

    fn short_of(&self, wanted: impl Fn(&Frame) -> bool) -> String {
        let own = |frame: &&Frame| !MACHINERY.iter().any(|start| frame.name.trim_start_matches('<').starts_with(start));
        let named = self.0.iter().filter(|frame| !frame.name.is_empty() && wanted(frame)).filter(own);
        let mut frames: Vec<String> = named.map(Frame::to_string).collect();
        frames.dedup();
        frames.truncate(SHORT_FRAMES);
        if frames.is_empty() { String::new() } else { format!("; in {}", frames.join(", in ")) }
    }
}

/// A frame has a line for each function that was inlined into it, where the component has debug information.
fn frames_of(info: &FrameInfo) -> Vec<Frame> {
    let inlined: Vec<Frame> = info
        .symbols()
        .iter()
        .map(|symbol| Frame {
            name: demangled(symbol.name().or(info.func_name())),
            place: symbol.file().map(|file| match symbol.line() {
                Some(line) => format!("{file}:{line}"),
                None => file.to_owned(),
            }),
        })
        .collect();
    if inlined.is_empty() { vec![Frame { name: demangled(info.func_name()), place: None }] } else { inlined }
}

/// A component may have any name for a function; in a log's line it is one word.
fn demangled(name: Option<&str>) -> String {
    let name = name.map(|name| format!("{:#}", rustc_demangle::demangle(name))).unwrap_or_default();
    super::cut(&name, NAME_BYTES_MAX).replace(char::is_control, "\u{fffd}")
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|frame| write!(f, "\n    at {frame}"))
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.name.is_empty() { "a function without a name" } else { &self.name })?;
        match &self.place {
            Some(place) => write!(f, " ({place})"),
            None => Ok(()),
        }
    }
}

/// How often a plugin broke at each place: the log has the first time, the tenth, the hundredth.
#[derive(Default, Debug)]
pub(super) struct Causes(Mutex<HashMap<Place, (u64, Arc<Trace>)>>);

impl Causes {
    /// The trace of a break, which is made once for a place; and how many there were of it, where the log is to have this one.
    pub fn count(&self, place: Place, trace: impl FnOnce() -> Trace) -> (Arc<Trace>, Option<u64>) {
        let mut causes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if causes.len() >= CAUSES_MAX && !causes.contains_key(&place) {
            return (Arc::new(trace()), None);
        }
        let (times, trace) = causes.entry(place).or_insert_with(|| (0, Arc::new(trace())));
        *times += 1;
        (trace.clone(), (10u64.pow(times.ilog10()) == *times).then_some(*times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_logged_at_powers_of_ten() {
        let causes = Causes::default();
        let count = |place| causes.count(Place(place), Trace::default).1;
        let logged: Vec<u64> = (0..1200).filter_map(|_| count(0)).collect();
        assert_eq!(logged, [1, 10, 100, 1000]);
        (1..200).for_each(|place| _ = count(place));
        assert_eq!(count(1000), None);
    }

    #[test]
    fn a_name_is_cut_and_stays_in_its_line() {
        assert_eq!(
            demangled(Some("_ZN4core6option6Option6unwrap17h0123456789abcdefE")),
            "core::option::Option::unwrap"
        );
        assert_eq!(demangled(Some("a\nWARN forged")), "a\u{fffd}WARN forged");
        assert_eq!((demangled(Some(&"x".repeat(1000))).len(), demangled(None)), (NAME_BYTES_MAX, String::new()));
    }

    #[test]
    fn only_the_authors_functions_are_in_a_reason() {
        let frame = |name: &str, place: Option<&str>| Frame { name: name.into(), place: place.map(str::to_owned) };
        let trace = Trace(vec![
            frame("__rustc::rust_panic", None),
            frame("<core::option::Option<T>>::unwrap", Some("option.rs:1")),
            frame("", None),
            frame("orders::total", Some("src/lib.rs:7")),
            frame("_PyEval_EvalFrameDefault", None),
            frame("<orders::Plugin as tidegate_sdk::Filter>::filter", None),
            frame("tidegate:plugin/filter@0.1.0#filter", None),
        ]);
        assert_eq!(
            trace.short_after_words(),
            "; in orders::total (src/lib.rs:7), in <orders::Plugin as tidegate_sdk::Filter>::filter"
        );
        assert!(trace.short().contains("in _PyEval_EvalFrameDefault"));
        assert!(trace.to_string().contains("\n    at a function without a name\n    at orders::total (src/lib.rs:7)"));
        assert_eq!(Trace::default().short(), "");
    }
}
