//! The settings of `where`, and the test that they come to.

use std::ops::RangeInclusive;

use serde::Deserialize;
use tidegate_sdk::Timestamp;

#[derive(Deserialize)]
#[serde(try_from = "Table")]
pub struct Settings {
    pub field: String,
    pub test: Test,
    pub not: bool,
}

/// What is asked of the field, and so in which kind it is read.
pub enum Test {
    Texts(Vec<String>),
    Prefixes(Vec<String>),
    Numbers(Vec<f64>),
    Booleans(Vec<bool>),
    NumberRange(RangeInclusive<f64>),
    TimestampRange(RangeInclusive<Timestamp>),
}

impl Test {
    pub fn texts(&self) -> bool {
        matches!(self, Test::Texts(_) | Test::Prefixes(_))
    }

    pub fn numbers(&self) -> bool {
        matches!(self, Test::Numbers(_) | Test::NumberRange(_))
    }

    pub fn booleans(&self) -> bool {
        matches!(self, Test::Booleans(_))
    }

    pub fn timestamps(&self) -> bool {
        matches!(self, Test::TimestampRange(_))
    }
}

/// The settings as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    field: String,
    equals: Option<Constant>,
    one_of: Option<Vec<Constant>>,
    between: Option<[Constant; 2]>,
    at_least: Option<Constant>,
    at_most: Option<Constant>,
    begins_with: Option<OneOrMore>,
    #[serde(default)]
    not: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Constant {
    Text(String),
    Integer(i64),
    Number(f64),
    Boolean(bool),
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "begins_with is a text or a list of texts")]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl TryFrom<Table> for Settings {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        if table.field.is_empty() {
            return Err("field is empty".to_owned());
        }
        let test = match (table.equals, table.one_of, table.between, table.at_least, table.at_most, table.begins_with) {
            (Some(value), None, None, None, None, None) => one_of("equals", vec![value])?,
            (None, Some(values), None, None, None, None) => one_of("one_of", values)?,
            (None, None, Some([low, high]), None, None, None) => range("between", Some(low), Some(high))?,
            (None, None, None, Some(low), None, None) => range("at_least", Some(low), None)?,
            (None, None, None, None, Some(high), None) => range("at_most", None, Some(high))?,
            (None, None, None, None, None, Some(prefixes)) => begins_with(prefixes)?,
            _ => {
                return Err("one test is wanted: equals, one_of, between, at_least, at_most or begins_with".to_owned());
            }
        };
        Ok(Settings { field: table.field, test, not: table.not })
    }
}

fn one_of(name: &str, constants: Vec<Constant>) -> Result<Test, String> {
    let several = || format!("{name} has values of several kinds");
    let mut test = None;
    for constant in constants {
        match (constant, &mut test) {
            (Constant::Text(text), None) => test = Some(Test::Texts(vec![text])),
            (Constant::Text(text), Some(Test::Texts(texts))) => texts.push(text),
            (Constant::Boolean(boolean), None) => test = Some(Test::Booleans(vec![boolean])),
            (Constant::Boolean(boolean), Some(Test::Booleans(booleans))) => booleans.push(boolean),
            (Constant::Other(_), _) => return Err(format!("{name} is a text, a number or a boolean")),
            (constant @ (Constant::Integer(_) | Constant::Number(_)), test) => {
                let number = number(&constant)?.ok_or_else(several)?;
                match test {
                    None => *test = Some(Test::Numbers(vec![number])),
                    Some(Test::Numbers(numbers)) => numbers.push(number),
                    Some(_) => return Err(several()),
                }
            }
            (Constant::Text(_) | Constant::Boolean(_), Some(_)) => return Err(several()),
        }
    }
    test.ok_or_else(|| format!("{name} is empty"))
}

fn range(name: &str, low: Option<Constant>, high: Option<Constant>) -> Result<Test, String> {
    let wrong = || format!("{name} takes numbers or timestamps (RFC 3339)");
    let numbers = |end: &Option<Constant>, open: f64| match end {
        None => Ok(Some(open)),
        Some(constant) => number(constant),
    };
    if let (Some(low), Some(high)) = (numbers(&low, f64::NEG_INFINITY)?, numbers(&high, f64::INFINITY)?) {
        return ordered(name, low, high).map(Test::NumberRange);
    }
    let timestamps = |end: &Option<Constant>, open: i64| match end {
        None => Some(Timestamp::from_micros(open)),
        Some(Constant::Text(text)) => Timestamp::parse(text),
        Some(Constant::Integer(_) | Constant::Number(_) | Constant::Boolean(_) | Constant::Other(_)) => None,
    };
    match (timestamps(&low, i64::MIN), timestamps(&high, i64::MAX)) {
        (Some(low), Some(high)) => ordered(name, low, high).map(Test::TimestampRange),
        _ => Err(wrong()),
    }
}

fn ordered<T: PartialOrd>(name: &str, low: T, high: T) -> Result<RangeInclusive<T>, String> {
    if low <= high { Ok(low..=high) } else { Err(format!("{name} ends before it begins")) }
}

/// Numbers are compared as floats, so they must be exact as such.
fn number(constant: &Constant) -> Result<Option<f64>, String> {
    const EXACT_MAX: i64 = 1 << 53;
    match constant {
        Constant::Integer(integer) if integer.abs() <= EXACT_MAX => Ok(Some(*integer as f64)),
        Constant::Integer(integer) => {
            Err(format!("{integer} is too large to be compared as a number: write it as a text"))
        }
        Constant::Number(number) => Ok(Some(*number)),
        Constant::Text(_) | Constant::Boolean(_) | Constant::Other(_) => Ok(None),
    }
}

fn begins_with(prefixes: OneOrMore) -> Result<Test, String> {
    let prefixes = match prefixes {
        OneOrMore::One(prefix) => vec![prefix],
        OneOrMore::More(prefixes) => prefixes,
    };
    if prefixes.is_empty() {
        return Err("begins_with is empty".to_owned());
    }
    Ok(Test::Prefixes(prefixes))
}
