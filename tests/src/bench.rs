//! What the benchmarks share: events, a broker with a topic full of them, processes whose cost is measured, and the ways of
//! reading a topic that the program is compared with. They print figures and judge none.

pub mod arrivals;
pub mod broker;
pub mod bulks;
pub mod consumers;
pub mod events;
pub mod groups;
pub mod index;
pub mod native;
pub mod pipeline;
pub mod process;
pub mod tidegate;
pub mod versions;

use std::fmt::Display;
use std::str::FromStr;

/// A benchmark's own arguments, `--NAME VALUE`.
pub struct Arguments(Vec<String>);

impl Arguments {
    pub fn read() -> Self {
        Arguments(std::env::args().skip(1).collect())
    }

    /// The argument that makes this process a part of the measurement instead of the one that measures, and what follows it.
    fn role(&self) -> Option<(&str, &[String])> {
        let (role, rest) = self.0.split_first()?;
        (!role.starts_with("--")).then_some((role, rest))
    }

    pub fn number<T: FromStr>(&self, name: &str, default: T) -> T {
        let place = self.0.iter().position(|argument| argument.strip_prefix("--") == Some(name));
        let value = place.and_then(|place| self.0.get(place + 1));
        value.map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("--{name} wants a number, not {value}")))
    }
}

/// The body of a benchmark with parts in processes of their own: measures, or plays the part that it was started for.
pub fn main(measure: impl FnOnce(&Arguments) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let arguments = Arguments::read();
    match arguments.role() {
        None => measure(&arguments),
        Some((index::ROLE, _)) => index::serve(),
        Some((arrivals::ROLE, _)) => arrivals::serve(),
        Some((bulks::ROLE, rest)) => bulks::send(rest),
        Some((broker::ROLE, rest)) => broker::fill(rest),
        Some((way, rest)) => consumers::consume(way, rest),
    }
}

/// The median and the ends of what several rounds gave.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

impl Spread {
    pub fn of(rounds: impl IntoIterator<Item = f64>) -> Self {
        let mut rounds: Vec<f64> = rounds.into_iter().collect();
        rounds.sort_by(f64::total_cmp);
        let at = |place: usize| rounds.get(place).copied().unwrap_or(f64::NAN);
        Spread { low: at(0), median: at(rounds.len() / 2), high: at(rounds.len().saturating_sub(1)) }
    }
}

/// Prints a figure against what is wanted of it; whoever reads it judges.
pub fn print_ratio(what: &str, spread: Spread, wanted: impl Display) {
    let Spread { low, median, high } = spread;
    println!("  {what:<44} {median:>7.2}   ({low:.2} to {high:.2})   wanted {wanted}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let spread = Spread::of([3.0, 1.0, 2.0]);
        assert_eq!((spread.low, spread.median, spread.high), (1.0, 2.0, 3.0));
    }
}
