//! JSON objects made from columns alone: the documents of windows.

use super::build::Builder;
use super::plan::{Place, Plan, ROOT, Slot};
use super::{DecodeError, value, write};
use crate::record::{Column, Field, Kind, Reason, ReasonKind};

/// Composes an object from a row of columns, by path: `user.id` makes an object `user`.
#[derive(Debug)]
pub struct Composer {
    plan: Plan,
    /// In the order of slots.
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    slot: Slot,
    kind: Kind,
    /// Among the columns.
    column: usize,
}

impl Composer {
    /// The columns that [`write`](Composer::write) gets have these paths and kinds. Paths must not repeat nor lie in one
    /// another.
    pub fn new(fields: &[Field]) -> Result<Self, DecodeError> {
        let plan = Plan::new(fields.iter().map(|field| field.path.as_str()))?;
        let mut members = Vec::new();
        for (column, field) in fields.iter().enumerate() {
            match plan.place(&field.path)? {
                Place::Own(_) => return Err(DecodeError::WrittenOwn { path: field.path.clone() }),
                Place::Field(slot) => members.push(Member { slot, kind: field.kind, column }),
            }
        }
        members.sort_by_key(|member| member.slot);
        write::refuse_conflicts(&plan, members.iter().map(|member| (member.slot, member.kind)))?;
        Ok(Composer { plan, members })
    }

    /// Appends the object of a row, without a line break. A value that JSON cannot say (a float that is not finite, a
    /// timestamp outside the years 1 to 9999, invalid JSON) is an error; `body` is then as it was.
    pub fn write(&self, columns: &[&Column], row: usize, body: &mut Vec<u8>) -> Result<(), Reason> {
        let start = body.len();
        body.push(b'{');
        let mut builder = Builder::new(&self.plan, ROOT, body);
        for member in &self.members {
            let column = columns[member.column];
            if !column.is_present(row) {
                continue;
            }
            if let Err(problem) = value::check(column, member.kind, row, self.plan.node(member.slot).depth) {
                body.truncate(start);
                let message = format!("{problem}, field=`{}`", self.plan.path(member.slot));
                return Err(Reason::new(ReasonKind::Plugin, message));
            }
            value::write(column, member.kind, row, builder.key(member.slot));
        }
        builder.finish();
        body.push(b'}');
        super::splice::join_lines(&mut body[start..]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Slices, Values};

    fn field(path: &str, kind: Kind) -> Field {
        Field { path: path.to_owned(), kind, required: true }
    }

    #[test]
    fn nested_paths_build_nested_objects() {
        let fields = [
            field("window_start", Kind::Timestamp),
            field("user.name", Kind::Text),
            field("count", Kind::Integer),
            field("user.geo.country", Kind::Text),
            field("user.id", Kind::Json),
        ];
        let composer = Composer::new(&fields).unwrap();
        let column = |values, present: &[u8]| Column { values, present: present.to_vec() };
        let texts = |texts: &[&str]| Values::Slices(texts.iter().copied().collect::<Slices>());
        let columns = [
            column(Values::Integers(vec![0, 60_000_000]), &[]),
            column(texts(&["Ann\n", ""]), &[1, 0]),
            column(Values::Integers(vec![7, 8]), &[]),
            column(texts(&["de", "fr"]), &[]),
            column(texts(&["[1,\n2]", ""]), &[1, 0]),
        ];
        let columns: Vec<_> = columns.iter().collect();
        let mut body = Vec::new();
        composer.write(&columns, 0, &mut body).unwrap();
        body.push(b'\n');
        composer.write(&columns, 1, &mut body).unwrap();
        expect_test::expect![[r#"
            {"count":7,"user":{"geo":{"country":"de"},"id":[1, 2],"name":"Ann\n"},"window_start":"1970-01-01T00:00:00Z"}
            {"count":8,"user":{"geo":{"country":"fr"}},"window_start":"1970-01-01T00:01:00Z"}"#]]
        .assert_eq(&String::from_utf8(body).unwrap());
    }

    #[test]
    fn paths_in_one_another_are_refused() {
        let error = |paths: &[&str]| {
            let fields: Vec<_> = paths.iter().map(|path| field(path, Kind::Text)).collect();
            Composer::new(&fields).unwrap_err().to_string()
        };
        assert!(error(&["a.b", "c", "a"]).contains("one=`a`, other=`a.b`"));
        assert!(error(&["a", "a"]).contains("one=`a`, other=`a`"));
        assert!(error(&["$key"]).contains("$key"));
    }

    #[test]
    fn a_value_that_json_cannot_say_leaves_nothing_behind() {
        let composer = Composer::new(&[field("a.b", Kind::Float)]).unwrap();
        let column = Column { values: Values::Floats(vec![f64::INFINITY]), present: Vec::new() };
        let mut body = b"x".to_vec();
        let reason = composer.write(&[&column], 0, &mut body).unwrap_err();
        assert_eq!(reason.message, "a float is not finite: value=`inf`, field=`a.b`");
        assert_eq!(body, b"x");
    }
}
