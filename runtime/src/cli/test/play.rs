//! A run of a scenario's input through its pipeline.

use std::fmt;

use anyhow::Result;

use crate::cli::input::{Input, Line};
use crate::config::PipelineSettings;
use crate::lane::Instances;
use crate::pipeline::{Loader, PipelineError, VirtualPipeline};
use crate::plugin::{InPieces, Instance};
use crate::record::Partition;

use super::outcome::Outcome;

/// How the input is played. What comes out must not depend on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mode {
    /// So many records that follow each other in a partition are a batch, and so many states are merged or emitted in a call.
    pub batch_records: usize,
    /// On instances that have had the whole input once already.
    pub used: bool,
}

impl Mode {
    pub const FIRST: Mode = Mode { batch_records: 1, used: false };
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.batch_records {
            usize::MAX => f.write_str("in batches as large as can be")?,
            records => write!(f, "in batches of {records}")?,
        }
        f.write_str(if self.used { ", on used instances" } else { ", on fresh instances" })
    }
}

pub(super) struct Play<'a> {
    /// Those that it begins with, then those that the input deploys.
    pub settings: &'a [PipelineSettings],
    pub input: &'a Input,
    pub loader: &'a mut Loader,
    /// Makes an error fit to be kept in a file.
    pub shorten: &'a dyn Fn(&str) -> String,
}

impl Play<'_> {
    pub fn run(&mut self, mode: Mode) -> Result<Outcome> {
        self.run_with(mode, |_| {})
    }

    /// `attach` is given the instances right before the run that counts.
    pub fn run_with(&mut self, mode: Mode, attach: impl FnOnce(&mut Instances)) -> Result<Outcome> {
        match self.pipeline(mode, attach) {
            Ok(pipeline) => Outcome::of(&pipeline),
            Err(error) => Ok(Outcome { error: Some((self.shorten)(&error.to_string())), ..Outcome::default() }),
        }
    }

    fn pipeline(&mut self, mode: Mode, attach: impl FnOnce(&mut Instances)) -> Result<VirtualPipeline, PipelineError> {
        let (first, deployed) = self.settings.split_first().expect("a scenario begins with a pipeline");
        let mut pipeline = VirtualPipeline::start(first, self.input.partitions, mode.batch_records, self.loader)?;
        for settings in deployed {
            pipeline.prepare(settings, self.loader)?;
        }
        if mode.batch_records < usize::MAX {
            in_pieces(pipeline.instances(), mode.batch_records);
        }
        if mode.used {
            self.play(&mut pipeline)?;
            pipeline.begin_again()?;
        }
        attach(pipeline.instances());
        self.play(&mut pipeline)?;
        Ok(pipeline)
    }

    fn play(&self, pipeline: &mut VirtualPipeline) -> Result<(), PipelineError> {
        let Some(topic) = self.settings.first().and_then(|first| first.kafka.topics.first()) else { return Ok(()) };
        for line in &self.input.lines {
            match line {
                Line::Record { partition, record } => {
                    pipeline.record(&Partition::new(topic, *partition), record.clone())?;
                }
                Line::Idle(partition) => pipeline.idle(&Partition::new(topic, *partition))?,
                Line::Restart => pipeline.restart()?,
                Line::Deploy => pipeline.deploy()?,
            }
        }
        pipeline.settle()
    }
}

fn in_pieces(instances: &mut Instances, states_max: usize) {
    *instances = std::mem::take(instances).map(|instance| match instance {
        Instance::Aggregate(inner) => Instance::Aggregate(Box::new(InPieces::new(inner, states_max))),
        Instance::Filter(_) | Instance::Enrich(_) => instance,
    });
}
