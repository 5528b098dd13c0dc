//! What a restart must not decide again, as a small JSON text kept with the job.

use crate::lambda::Found;
use crate::notes::{LambdaUse, Typed, Warning};
use crate::relation::Misfit;
use azora_spec::{Code, DatasetName, Digest, Failure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The newest version of the text. A reader refuses newer ones.
const VERSION: u32 = 2;
/// The version of a text without second inputs, which is the same as before there were any.
const VERSION_ONE_INPUT: u32 = 1;
/// How often the columns of one lambda's answers are made wider. The last time they hold anything.
const WIDENINGS_MAX: u32 = 3;

/// Decisions of the first planning: files with their sizes, splits, plugin digests, the number of partitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pins {
    version: u32,
    /// Partitions that the plan aims at.
    pub(crate) parallelism: usize,
    /// Partitions of the last stage: as many tokens.
    pub(crate) partitions: usize,
    pub(crate) input: InputPins,
    /// What was decided about the second inputs of operations, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) others: Vec<InputPins>,
    /// Reference as in the request → `sha256:…`.
    pub(crate) plugins: BTreeMap<String, String>,
    /// What samples of interpreted lambdas decided.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) samples: BTreeMap<String, Found>,
    /// Where a lambda stands → how often the columns of its answers were made wider after a run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) widenings: BTreeMap<String, u32>,
    /// How lambdas run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) lambdas: Vec<LambdaUse>,
    /// What lambdas mean, and were probably not meant to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) warnings: Vec<Warning>,
    /// Whether nothing is written, since the target was there already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_left: bool,
    /// Connector of a plugin → what it was granted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) grants: BTreeMap<String, serde_json::Value>,
    /// What `now()` answers in frames and SQL: when the job was planned first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) now_ms: Option<i64>,
}

/// What was decided about the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum InputPins {
    /// The rows are in the request.
    Inline,
    /// A dataset's version.
    Dataset(DatasetPin),
    /// Files below a root.
    Files { files: Vec<FilePin> },
    /// A connector's splits.
    Splits { splits: Vec<SplitPin> },
}

impl InputPins {
    pub(crate) fn dataset_name(&self) -> Option<DatasetName> {
        match self {
            Self::Dataset(pin) => pin.name.parse().ok(),
            Self::Inline | Self::Files { .. } | Self::Splits { .. } => None,
        }
    }
}

/// One split. The estimate of its rows decides its partition, so it is part of the decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SplitPin {
    pub(crate) payload: String,
    pub(crate) rows: Option<u64>,
}

/// One version of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DatasetPin {
    pub(crate) name: String,
    /// Name of the version's directory.
    pub(crate) version: String,
    pub(crate) files: Vec<FilePin>,
}

/// One file as it was when the job was planned.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct FilePin {
    /// Index of the root, in the order of the engine's options.
    pub(crate) root: usize,
    /// Path below the root.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) modified_ms: i64,
}

impl Pins {
    pub(crate) fn new(parallelism: usize, input: InputPins, others: Vec<InputPins>) -> Self {
        let version = if others.is_empty() { VERSION_ONE_INPUT } else { VERSION };
        let (plugins, samples, lambdas, grants) = (BTreeMap::new(), BTreeMap::new(), Vec::new(), BTreeMap::new());
        let widenings = BTreeMap::new();
        Self {
            version,
            parallelism,
            partitions: 0,
            input,
            others,
            plugins,
            samples,
            widenings,
            lambdas,
            warnings: Vec::new(),
            is_left: false,
            grants,
            now_ms: None,
        }
    }

    /// The digests of the plugins that the job uses.
    ///
    /// # Errors
    /// [`Code::Internal`] where the text was damaged.
    pub fn plugins(&self) -> Result<Vec<Digest>, Failure> {
        let damaged = || Failure::new(Code::Internal, "the pins of the job are damaged");
        self.plugins.values().map(|text| Digest::parse(text).ok_or_else(damaged)).collect()
    }

    /// The dataset versions that the job reads, as (name, name of the version's directory).
    pub fn datasets(&self) -> impl Iterator<Item = (&str, &str)> {
        std::iter::once(&self.input).chain(&self.others).filter_map(|input| match input {
            InputPins::Dataset(pin) => Some((pin.name.as_str(), pin.version.as_str())),
            InputPins::Inline | InputPins::Files { .. } | InputPins::Splits { .. } => None,
        })
    }

    /// Partitions of the last stage: as many tokens.
    #[must_use]
    pub const fn partitions(&self) -> usize {
        self.partitions
    }

    /// How the job's lambdas run.
    #[must_use]
    pub fn lambdas(&self) -> &[LambdaUse] {
        &self.lambdas
    }

    /// What the job's lambdas mean, and were probably not meant to.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The pins of a plan that has wider columns where answers did not fit; none where none can be made wider. `typed` are
    /// the kernels whose columns samples decided.
    pub(crate) fn widened(&self, misfits: Vec<Misfit>, typed: &[Typed]) -> Option<Self> {
        let mut pins = self.clone();
        for Misfit { kernel, wider } in misfits {
            for Typed { key, pointer, is_one, .. } in typed.iter().filter(|typed| Arc::ptr_eq(&typed.kernel, &kernel)) {
                let Some(Found::Shape(known)) = self.samples.get(key) else { continue };
                let times = self.widenings.get(pointer).copied().unwrap_or_default();
                let wider = wider.clone().shape(*is_one);
                let wider = if times + 1 < WIDENINGS_MAX { wider } else { known.loosened(&wider) };
                // Other partitions may have met other types: one of them is enough, and the next run meets the others.
                let is_new = pins.samples.get(key) == self.samples.get(key);
                if is_new && times < WIDENINGS_MAX && wider != *known {
                    pins.samples.insert(key.clone(), Found::Shape(wider));
                    pins.widenings.insert(pointer.clone(), times + 1);
                }
            }
        }
        (pins.samples != self.samples).then_some(pins)
    }

    /// The text to keep.
    ///
    /// # Errors
    /// Never for pins that the engine made.
    pub fn to_json(&self) -> Result<String, Failure> {
        serde_json::to_string(self).map_err(|error| Failure::new(Code::Internal, format!("the pins cannot be written: {error}")))
    }

    /// Reads what [`Self::to_json`] wrote.
    ///
    /// # Errors
    /// [`Code::Internal`] for a damaged text or one of a newer version.
    pub fn from_json(text: &str) -> Result<Self, Failure> {
        let pins: Self = serde_json::from_str(text).map_err(|_| Failure::new(Code::Internal, "the pins of the job are damaged"))?;
        if pins.version > VERSION {
            return Err(Failure::new(
                Code::Internal,
                format!("the pins are of version {}, this build reads up to {VERSION}", pins.version),
            ));
        }
        Ok(pins)
    }
}
