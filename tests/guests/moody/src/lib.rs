//! A filter that does what a record says: it keeps, drops, rejects, panics, spins, or takes all memory.

use tidegate_sdk::{Fields, Reject, filter};

#[derive(Fields)]
struct Record<'a> {
    mood: &'a str,
}

#[filter]
fn moody(record: Record<'_>) -> Result<bool, Reject> {
    match record.mood {
        "drop" => Ok(false),
        "reject" => Err(Reject::new("not today")),
        "panic" => panic!("not today either"),
        "spin" => loop {
            std::hint::spin_loop();
        },
        "hoard" => Ok(hoard()),
        _ => Ok(true),
    }
}

fn hoard() -> bool {
    let mut hoard = Vec::new();
    loop {
        hoard.push(vec![1_u8; 1 << 20]);
        if std::hint::black_box(&hoard).is_empty() {
            return true;
        }
    }
}
