//! What the outside does for those who asked: the topics take a message, the index a document, the store a checkpoint.

use tidegate::lane::Event;
use tidegate::record::Message;
use tidegate::sink::dead_letter;

use super::actor::Pending;
use super::checkpoints::{Saved, Saving};
use super::{Difference, World};

/// So many messages wait in a producer for the network; more are not looked at yet.
const FAULTS_MAX: usize = 12;

impl World {
    /// One message is appended, or one document is indexed, for some effect that is not done.
    pub(super) fn perform(&mut self, actor: usize) -> Result<(), Difference> {
        let pending = self.actors[actor].pending.len().min(FAULTS_MAX);
        if pending == 0 {
            return Ok(());
        }
        // Nothing may depend on the order in which what is under way arrives: not even that of one producer.
        let place = self.rng.usize(..pending);
        let mut taken = self.actors[actor].pending.remove(place);
        // The answer to it is lost: it is done, and is done again.
        let is_lost = !self.rests && self.rng.u8(..16) == 0;
        self.statistics.lost_answers += usize::from(is_lost);
        let answer = match &mut taken {
            Pending::Write { ticket, messages } => {
                if !messages.is_empty() {
                    let place = self.rng.usize(..messages.len());
                    let message = if is_lost { messages[place].clone() } else { messages.swap_remove(place) };
                    self.append(actor, message);
                }
                messages.is_empty().then_some(Event::Written { ticket: *ticket })
            }
            Pending::Index { ticket, documents, left } => {
                if !left.is_empty() {
                    let place = self.rng.usize(..left.len());
                    let row = if is_lost { left[place] } else { left.swap_remove(place) };
                    let document = documents.get(row);
                    let body = String::from_utf8_lossy(document.body).into_owned();
                    let version = document.version.ok_or("a document without a version")?;
                    self.put(actor, document.index, document.id, version, body);
                }
                left.is_empty().then_some(Event::Indexed { ticket: *ticket, rejected: Vec::new() })
            }
            Pending::Save { ticket, frozen } => {
                let (is_zombie, committed) = (self.actors[actor].zombie, self.actors[actor].committed);
                let Some(owner) = &mut self.actors[actor].owner else { return Err("nobody may save".to_owned()) };
                let faults = (!self.rests).then_some(&mut self.rng);
                let saved = self.store.save(owner, &Saving { frozen, is_zombie, committed }, faults);
                let (ticket, next) = (*ticket, frozen.next());
                self.say(|| format!("{actor} saves a checkpoint at {next}: {saved:?}"));
                let kept = match saved {
                    Saved::Kept(kept) => kept,
                    // It is not to do anything more.
                    Saved::Fenced => {
                        self.statistics.fenced += 1;
                        self.actors[actor].stop();
                        return Ok(());
                    }
                    Saved::Wrong(what) => return Err(what),
                };
                self.statistics.checkpoints += usize::from(kept.is_some());
                Some(Event::Saved { ticket, kept })
            }
        };
        match answer {
            Some(answer) => self.actors[actor].answers.push(answer),
            None => self.actors[actor].pending.insert(place, taken),
        }
        Ok(())
    }

    fn append(&mut self, actor: usize, message: Message) {
        if message.topic == self.parts_topic {
            let number = message.partition.unwrap_or_default() as usize;
            let value = message.value.unwrap_or_default();
            if self.trace {
                let offset = self.parts[number].len();
                let shown = tidegate::lane::format::decode(&value);
                self.say(|| format!("{actor} appends {number}-{offset}: {shown:?}"));
            }
            self.parts[number].push(value);
            return;
        }
        let headers = || message.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
        let identity = dead_letter::identity(headers()).expect("every dead letter has one").to_owned();
        let reason = headers().find(|(name, _)| *name == dead_letter::REASON).and_then(|(_, value)| value);
        let reason = String::from_utf8_lossy(reason.unwrap_or_default()).into_owned();
        self.say(|| format!("{actor} dead letter {identity}: {reason}"));
        self.dead_letters.insert(identity, reason);
    }

    /// External versions: only a greater one is taken.
    fn put(&mut self, actor: usize, index: &str, id: &str, version: u64, body: String) {
        let key = (index.to_owned(), id.to_owned());
        if self.index.get(&key).is_some_and(|(stored, _)| *stored >= version) {
            self.statistics.superseded += 1;
            self.say(|| format!("{actor} is superseded {id} version {version}: {body}"));
            return;
        }
        self.say(|| format!("{actor} indexes {id} version {version}: {body}"));
        self.index.insert(key, (version, body));
    }
}
