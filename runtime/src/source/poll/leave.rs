//! Positions are committed, and the group is left.

use std::time::{Duration, Instant};

use rdkafka::types::RDKafkaErrorCode;

use super::super::client;
use super::{Poller, Rebalance, TAKE_MAX};
use crate::record::{Commitment, Partition};

/// The wait for the group's last word, and for the answer to a commit.
const WAIT: Duration = Duration::from_millis(10);

impl Poller {
    /// Asks what may be committed, and sends what advances. The answer is heard later.
    pub(super) fn commit(&mut self) {
        if self.ledger.is_in_flight() {
            return;
        }
        let offered = self.receiver.commitments();
        let assigned = &self.assigned;
        let plan = self.ledger.plan(offered, |it| assigned.iter().any(|known| known.partition == *it));
        self.send(plan);
    }

    fn send(&mut self, plan: Vec<(Partition, Commitment)>) {
        if plan.is_empty() {
            return;
        }
        match self.consumer.commit(&plan) {
            Ok(()) => self.ledger.sent(plan),
            Err(code) => {
                self.refused = Some(code);
                tracing::debug!(%code, "positions are not committed yet");
            }
        }
    }

    pub(super) fn hear_commit(&mut self) {
        if self.ledger.is_in_flight() {
            self.hear(Duration::ZERO);
        }
    }

    /// A refusal is not an error: what was offered is offered again, or the partitions are being taken away.
    fn hear(&mut self, wait: Duration) {
        match self.consumer.commit_answer(wait) {
            None => {}
            Some(Ok(())) => {
                for (partition, position) in self.ledger.accepted() {
                    self.receiver.committed(&partition, &position);
                }
                self.consumer.broker().up();
            }
            Some(Err(code)) => {
                self.ledger.refused();
                self.refused = Some(code);
                match client::definite(code, "commit") {
                    Some(error) => tracing::error!(%error, "positions cannot be committed"),
                    None => tracing::warn!(%code, "positions were not committed, trying again"),
                }
            }
        }
    }

    /// Commits for partitions that go away, and waits for the answer.
    pub(super) fn commit_until(&mut self, offered: Vec<(Partition, Commitment)>, of: &[Partition], deadline: Instant) {
        self.wait_for_answer(deadline);
        while Instant::now() < deadline {
            let plan = self.ledger.plan(offered.clone(), |it| of.contains(it));
            if plan.is_empty() {
                return;
            }
            self.refused = None;
            self.send(plan);
            self.wait_for_answer(deadline);
            match self.refused {
                Some(
                    RDKafkaErrorCode::IllegalGeneration
                    | RDKafkaErrorCode::UnknownMemberId
                    | RDKafkaErrorCode::FencedInstanceId,
                ) => return,
                Some(_) => std::thread::sleep(WAIT),
                None => {}
            }
        }
    }

    fn wait_for_answer(&mut self, deadline: Instant) {
        while self.ledger.is_in_flight() && Instant::now() < deadline {
            self.hear(WAIT);
        }
    }

    /// Lets lanes finish, commits, leaves the group; gives up at the deadline.
    pub(super) fn leave(mut self, deadline: Instant) {
        self.drain();
        if let Err(code) = self.consumer.begin_close() {
            tracing::debug!(%code, "the group was left before");
        }
        while !self.consumer.closed() && Instant::now() < deadline {
            self.consumer.take(WAIT, TAKE_MAX, |_| ());
            let mut pending = self.rebalance.take().map(|(rebalance, _)| rebalance);
            while let Some(rebalance) = pending.take().or_else(|| self.consumer.next_rebalance()) {
                match rebalance {
                    Rebalance::Revoke { partitions, lost } => self.revoke(&partitions, lost, deadline),
                    Rebalance::Assign(partitions) => {
                        if let Err(code) =
                            self.consumer.assign(&partitions.into_iter().map(at_start).collect::<Vec<_>>())
                        {
                            tracing::debug!(%code, "partitions that are not wanted any more were not taken");
                        }
                    }
                }
            }
        }
        let left = self.partitions();
        if !left.is_empty() {
            // The group did not ask for them: nobody answers, or an assignment was under way.
            let offered = self.receiver.revoked(&left, false, deadline);
            self.commit_until(offered, &left, deadline);
        }
        self.show(Instant::now());
    }
}

fn at_start(partition: Partition) -> (Partition, crate::record::Offset) {
    (partition, crate::record::Offset(0))
}
