//! The sessions of one group as they would be after some more rows: what is found, joined and made, before anything is stored.

use crate::record::EventTime;
use crate::window::{SessionWindows, Window};

/// The starts of the stored sessions that one of a turn goes on from: none where it is new, two where a row connects them.
pub(super) type Bases = [Option<EventTime>; 2];

#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub window: Window,
    pub bases: Bases,
    /// Where its state is in the slots; none while no row of the turn is of it.
    pub slot: Option<u32>,
}

/// Where a row goes, by places in a list of extents.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// Into a session of its own, which belongs there in the list.
    New(usize),
    Joins(usize),
    /// It connects that one and the next.
    Connects(usize),
}

/// The list is in the order of starts, and no two of it are one.
pub(super) fn place_of(windows: SessionWindows, list: &[Extent], time: EventTime) -> Place {
    let place = list.partition_point(|extent| extent.window.start <= time);
    let joins = |place: usize| list.get(place).is_some_and(|extent| windows.joins(extent.window, time));
    let before = place.checked_sub(1).filter(|before| joins(*before));
    match (before, joins(place)) {
        (Some(before), true) => Place::Connects(before),
        (Some(before), false) => Place::Joins(before),
        (None, true) => Place::Joins(place),
        (None, false) => Place::New(place),
    }
}

/// The bases of the extent that a row makes there.
pub(super) fn bases_at(list: &[Extent], place: Place) -> Bases {
    match place {
        Place::New(_) => [None, None],
        Place::Joins(place) => list[place].bases,
        Place::Connects(place) => [list[place].bases[0], list[place + 1].bases[0]],
    }
}

/// Puts a row of that time there, whose state is in that slot.
pub(super) fn put(windows: SessionWindows, list: &mut Vec<Extent>, place: Place, time: EventTime, slot: u32) {
    let (window, bases) = (windows.of(time), bases_at(list, place));
    let (place, window) = match place {
        Place::New(place) => return list.insert(place, Extent { window, bases, slot: Some(slot) }),
        Place::Joins(place) => (place, list[place].window.with(window)),
        Place::Connects(place) => {
            let next = list.remove(place + 1);
            (place, list[place].window.with(window).with(next.window))
        }
    };
    list[place] = Extent { window, bases, slot: Some(slot) };
}

/// Whether all that a row joins there was not touched before in its turn.
pub(super) fn is_untouched(list: &[Extent], place: Place) -> bool {
    match place {
        Place::New(_) => true,
        Place::Joins(place) => list[place].slot.is_none(),
        Place::Connects(place) => list[place].slot.is_none() && list[place + 1].slot.is_none(),
    }
}
