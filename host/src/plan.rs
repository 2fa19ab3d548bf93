//! Plans: which trials, in which order, and how long each.
//!
//! A plan says everything that results depend on, so that a capture that begins with it can be
//! understood alone.

use crate::outcomes::Labels;
use crate::profile::{self, Operator};
use crate::units;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use scalebench_models::{
    Answers, Artefact, Build, Direction, Family, Metric, Precision, UseCase, Variant, Weights,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The version of the plan's JSON. Raised when a field changes its meaning or goes away.
pub const SCHEMA: u32 = 1;

/// How thorough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Thoroughness {
    /// Five windows of 100 ms: a first look, in minutes.
    Quick,
    /// Five windows of one second.
    Default,
    /// Five windows of ten seconds.
    Full,
}

impl Thoroughness {
    /// The word on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Default => "default",
            Self::Full => "full",
        }
    }

    fn schedule(self) -> Schedule {
        let (warm_up_ms, window_ms, readings) = match self {
            Self::Quick => (50, 100, 1_000),
            Self::Default => (500, 1_000, 10_000),
            Self::Full => (2_000, 10_000, 0),
        };
        Schedule {
            warm_up_ms,
            windows: 5,
            window_ms,
            readings,
        }
    }

    /// Multiply-accumulates that an accuracy pass may cost; it always has a thousand samples.
    fn accuracy_macs(self) -> u64 {
        match self {
            Self::Quick => 3_000_000_000,
            Self::Default | Self::Full => u64::MAX,
        }
    }
}

/// How long to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Warm-up, at least.
    pub warm_up_ms: u32,
    /// Windows.
    pub windows: u8,
    /// A window, at least.
    pub window_ms: u32,
    /// Most readings kept of a window; zero for all the board can hold.
    pub readings: u32,
}

/// A file a board needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct File {
    /// SHA-256, in hexadecimal.
    pub sha256: String,
    /// Length.
    pub bytes: u64,
}

impl From<&scalebench_models::FileRef> for File {
    fn from(file: &scalebench_models::FileRef) -> Self {
        Self {
            sha256: file.sha256.to_string(),
            bytes: file.bytes,
        }
    }
}

/// How near outputs must be to the golden vectors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tolerance {
    /// Integers: steps.
    pub steps: u32,
    /// Floats: absolute part.
    pub absolute: f32,
    /// Floats: relative part.
    pub relative: f32,
}

/// What a published table leaves open, and nobody may fill in: such figures are shown as they stand there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unstated {
    /// The unit of its times: what is a latency in nanoseconds elsewhere is its bare number.
    #[serde(default)]
    pub time: bool,
    /// Whether its operations count a multiply-accumulate once or twice: what are MACs elsewhere are its FLOPs.
    #[serde(default)]
    pub operations: bool,
}

impl Unstated {
    /// Whether all is stated.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// A latency, for people.
    #[must_use]
    pub fn shown_time(self, value: f64) -> String {
        match self.time {
            false => units::time(value),
            true if value.abs() < 1.0 => format!("{value:.3} (unit not stated)"),
            true => format!("{} (unit not stated)", units::three(value)),
        }
    }

    /// What operations are called.
    #[must_use]
    pub fn operations(self) -> &'static str {
        if self.operations { "FLOPs" } else { "MACs" }
    }

    /// A count of operations, for people; what it counts is said only where it is not MACs.
    #[must_use]
    pub fn shown_operations(self, count: u64) -> String {
        match (count, self.operations) {
            (0, _) => "–".to_owned(),
            (count, false) => units::count(count),
            (count, true) => format!("{} FLOPs", units::count(count)),
        }
    }
}

/// One variant in one precision, to be measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedTrial {
    /// Its number; also its place in the order.
    pub trial: u32,
    /// Family.
    pub family: String,
    /// The family's title.
    pub title: String,
    /// What the family is for.
    pub use_case: UseCase,
    /// Variant.
    pub variant: String,
    /// Precision.
    pub precision: Precision,
    /// Position along the family's dimensions.
    pub coordinates: BTreeMap<String, f64>,
    /// Weights and biases.
    pub parameters: u64,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// What ranks variants of the family.
    pub metric: Metric,
    /// Which way it improves.
    pub direction: Direction,
    /// What it scored with the reference kernels, if that was measured.
    pub reference_quality: Option<f64>,
    /// The model.
    pub model: File,
    /// Golden vectors.
    pub golden: File,
    /// Whose answers they are.
    #[serde(default, skip_serializing_if = "Answers::are_references")]
    pub answers: Answers,
    /// How near they must be met.
    pub tolerance: Tolerance,
    /// Where the model's weights come from.
    #[serde(default, skip_serializing_if = "Weights::are_trained")]
    pub weights: Weights,
    /// The evaluation set.
    pub dataset: Option<File>,
    /// Samples of it to score, from the first; zero for all.
    pub samples: u32,
    /// The model's operators in the order of its file, where they are to be timed one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operators: Vec<Operator>,
    /// What the source of published figures leaves open; nothing of what is measured.
    #[serde(default, skip_serializing_if = "Unstated::is_nothing")]
    pub unstated: Unstated,
}

impl PlannedTrial {
    /// What a person calls it.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}/{} {}", self.family, self.variant, self.precision)
    }

    /// The files it needs on the board.
    pub fn files(&self) -> impl Iterator<Item = &File> {
        [Some(&self.model), Some(&self.golden), self.dataset.as_ref()]
            .into_iter()
            .flatten()
    }
}

/// All trials of a run on one board.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Its name.
    pub plan: Thoroughness,
    /// The board file's name.
    pub board: String,
    /// What the order was drawn from.
    pub seed: u64,
    /// How long each trial is.
    pub schedule: Schedule,
    /// How long operators are timed one by one at the end of a trial, at least; zero for not at all.
    #[serde(default)]
    pub profile_ms: u32,
    /// Whether windows of detection hold the decoding of outputs into boxes too.
    #[serde(default)]
    pub time_decoding: bool,
    /// How power is sampled.
    #[serde(default)]
    pub power: PowerPlan,
    /// Labels of evaluation sets, by SHA-256, where figures need them whose interval comes from single outcomes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Labels>,
    /// The governor that shall set the clock during the run; `None` leaves it as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub governor: Option<String>,
    /// The trials, in their order.
    pub trials: Vec<PlannedTrial>,
}

/// How power is sampled, and how rails add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerPlan {
    /// How rails add up to what the board draws.
    pub total: Total,
    /// Microseconds of one conversion; `None` leaves it to the board.
    pub conversion_us: Option<u32>,
    /// Only every other window is sampled, to see what sampling costs.
    pub observer_cost: bool,
}

/// How rails add up: the board file's `total`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Total {
    /// No rule.
    #[default]
    None,
    /// The first rail is the board's input.
    Input,
    /// All rails together.
    Sum,
}

impl From<scalebench_boards::Total> for Total {
    fn from(total: scalebench_boards::Total) -> Self {
        match total {
            scalebench_boards::Total::None => Self::None,
            scalebench_boards::Total::Input => Self::Input,
            scalebench_boards::Total::Sum => Self::Sum,
        }
    }
}

/// What of the families is meant: without anything named, what they measure by default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// Only these families, if any are named.
    pub families: Vec<String>,
    /// Only these variants, if any are named: `variant` or `family/variant`.
    pub variants: Vec<String>,
    /// Only these precisions, if any are named.
    pub precisions: Vec<Precision>,
}

/// What to plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Wishes {
    /// The board file's name.
    pub board: String,
    /// How thorough.
    pub thoroughness: Thoroughness,
    /// Of what.
    pub choice: Choice,
    /// What the order is drawn from.
    pub seed: u64,
    /// Another number of windows.
    pub windows: Option<u8>,
    /// Another length of windows.
    pub window_ms: Option<u32>,
    /// Whether windows of detection hold the decoding of outputs too.
    pub time_decoding: bool,
    /// How power is sampled.
    pub power: PowerPlan,
}

/// Why there is no plan.
#[derive(Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Something named does not exist.
    #[error("there is no {what} `{name}`: {remedy}")]
    Unknown {
        /// `family` or `variant`.
        what: &'static str,
        /// The name.
        name: String,
        /// What to do.
        remedy: String,
    },
    /// The choice is empty.
    #[error(
        "no variant is left to measure: drop one of --family, --variant and --precision (`scalebench models` lists what there is)"
    )]
    Empty,
    /// Windows out of range.
    #[error(
        "{windows} windows of {window_ms} ms cannot be measured: choose 1 to 16 windows of 1 to 600000 ms"
    )]
    Windows {
        /// How many.
        windows: u8,
        /// How long.
        window_ms: u32,
    },
    /// A plan from another version.
    #[error(
        "this run's plan has schema {theirs}, this scalebench knows {SCHEMA}: use the scalebench that made it"
    )]
    Schema {
        /// The file's.
        theirs: u32,
    },
    /// A plan that cannot be read.
    #[error("this run's plan cannot be read ({0}): the folder is damaged, start a new run")]
    Json(String),
}

impl Plan {
    /// Expands families into trials, draws their order and interleaves the families.
    ///
    /// # Errors
    /// [`PlanError`] when something named does not exist or nothing is left.
    pub fn new(wishes: &Wishes, families: &[Family]) -> Result<Self, PlanError> {
        check_names(wishes, families)?;
        let mut schedule = wishes.thoroughness.schedule();
        schedule.windows = wishes.windows.unwrap_or(schedule.windows);
        schedule.window_ms = wishes.window_ms.unwrap_or(schedule.window_ms);
        if !(1..=16).contains(&schedule.windows) || !(1..=600_000).contains(&schedule.window_ms) {
            return Err(PlanError::Windows {
                windows: schedule.windows,
                window_ms: schedule.window_ms,
            });
        }
        let mut dice = ChaCha20Rng::seed_from_u64(wishes.seed);
        let mut groups: Vec<Vec<PlannedTrial>> = families
            .iter()
            .filter(|family| chosen(&wishes.choice.families, &[&family.manifest.name]))
            .map(|family| expand(wishes, family))
            .collect();
        for group in &mut groups {
            shuffle(group, &mut dice);
        }
        let mut trials = dealt(groups, &mut dice);
        for (trial, number) in trials.iter_mut().zip(0..) {
            trial.trial = number;
        }
        if trials.is_empty() {
            return Err(PlanError::Empty);
        }
        Ok(Self {
            schema: SCHEMA,
            plan: wishes.thoroughness,
            board: wishes.board.clone(),
            seed: wishes.seed,
            schedule,
            profile_ms: 0,
            time_decoding: wishes.time_decoding,
            power: wishes.power,
            labels: BTreeMap::new(),
            governor: None,
            trials,
        })
    }

    /// The same, with the labels that intervals of its quality figures need, out of the datasets in `sources`.
    ///
    /// # Errors
    /// A dataset that cannot be read.
    pub fn labelled(
        mut self,
        sources: &BTreeMap<String, Artefact>,
    ) -> Result<Self, scalebench_models::ModelsError> {
        for trial in &self.trials {
            // Wilson's interval of a share needs none, and boxes come as hashes only.
            let shares = matches!(trial.metric, Metric::Top1 | Metric::Top5);
            let Some(dataset) = trial.dataset.as_ref().filter(|_| !shares) else {
                continue;
            };
            if self.labels.contains_key(&dataset.sha256) {
                continue;
            }
            if let Some(artefact) = sources.get(&dataset.sha256)
                && let Some(labels) = Labels::of(&artefact.read()?)
            {
                self.labels.insert(dataset.sha256.clone(), labels);
            }
        }
        Ok(self)
    }

    /// The same, with operators timed one by one for at least so many milliseconds at the end of every trial. They are
    /// called as the models in `sources` call them.
    ///
    /// # Errors
    /// A model that cannot be read.
    pub fn profiled(
        mut self,
        profile_ms: u32,
        sources: &BTreeMap<String, Artefact>,
    ) -> Result<Self, scalebench_models::ModelsError> {
        self.profile_ms = profile_ms;
        for trial in &mut self.trials {
            if let Some(model) = sources.get(&trial.model.sha256) {
                trial.operators = profile::operators(&model.read()?);
            }
        }
        Ok(self)
    }

    /// The same, with this governor of the CPU's clock.
    #[must_use]
    pub fn governed(self, governor: Option<String>) -> Self {
        Self { governor, ..self }
    }

    /// Reads the JSON of a plan.
    ///
    /// # Errors
    /// [`PlanError::Schema`] or [`PlanError::Json`].
    pub fn from_json(json: &[u8]) -> Result<Self, PlanError> {
        #[derive(Deserialize)]
        struct Versioned {
            schema: u32,
        }
        let wrong =
            |error: serde_json::Error| PlanError::Json(crate::text::escaped(&error.to_string()));
        let versioned: Versioned = serde_json::from_slice(json).map_err(wrong)?;
        if versioned.schema != SCHEMA {
            return Err(PlanError::Schema {
                theirs: versioned.schema,
            });
        }
        serde_json::from_slice(json).map_err(wrong)
    }

    /// What the latency of a trial holds, where that is not the inference alone or could be thought to be more.
    #[must_use]
    pub fn timed(&self, trial: &PlannedTrial) -> Option<&'static str> {
        (trial.use_case == UseCase::Detection).then_some(if self.time_decoding {
            "inference, decoding and suppression"
        } else {
            "inference alone"
        })
    }

    /// The files all trials need, each once.
    #[must_use]
    pub fn files(&self) -> BTreeSet<&File> {
        self.trials.iter().flat_map(PlannedTrial::files).collect()
    }

    /// Where the files of the plan are on this machine.
    #[must_use]
    pub fn sources(&self, families: &[Family]) -> BTreeMap<String, Artefact> {
        let wanted: BTreeSet<&str> = self
            .files()
            .into_iter()
            .map(|f| f.sha256.as_str())
            .collect();
        let mut sources = BTreeMap::new();
        for family in families {
            let builds = family.manifest.variants.iter().flat_map(Variant::builds);
            let files = builds
                .flat_map(|(_, build)| [&build.model, &build.golden])
                .chain(family.manifest.datasets.iter().map(|entry| &entry.artefact));
            for file in files {
                let sha256 = file.sha256.to_string();
                if wanted.contains(sha256.as_str()) {
                    sources.insert(sha256, family.artefact(file));
                }
            }
        }
        sources
    }
}

fn expand(wishes: &Wishes, family: &Family) -> Vec<PlannedTrial> {
    let name = &family.manifest.name;
    let mut trials = Vec::new();
    let unasked = wishes.choice.families.is_empty() && wishes.choice.variants.is_empty();
    for variant in &family.manifest.variants {
        let full = format!("{name}/{}", variant.name);
        let left_out = unasked && !variant.default;
        if left_out || !chosen(&wishes.choice.variants, &[&variant.name, &full]) {
            continue;
        }
        for (precision, build) in variant.builds() {
            if wishes.choice.precisions.is_empty() || wishes.choice.precisions.contains(&precision)
            {
                trials.push(planned(wishes, family, variant, precision, build));
            }
        }
    }
    trials
}

fn planned(
    wishes: &Wishes,
    family: &Family,
    variant: &Variant,
    precision: Precision,
    build: &Build,
) -> PlannedTrial {
    let manifest = &family.manifest;
    let dataset = family.dataset(variant);
    let affordable = wishes.thoroughness.accuracy_macs() / variant.macs.max(1);
    let samples = dataset.map_or(0, |entry| {
        let samples = affordable.max(1_000).min(entry.samples.into()) as u32;
        if samples == entry.samples { 0 } else { samples }
    });
    PlannedTrial {
        trial: 0,
        family: manifest.name.clone(),
        title: manifest.title.clone(),
        use_case: manifest.use_case,
        variant: variant.name.clone(),
        precision,
        coordinates: variant.coordinates.clone(),
        parameters: variant.parameters,
        macs: variant.macs,
        metric: manifest.quality.metric,
        direction: manifest.quality.direction,
        reference_quality: build.quality.get(&manifest.quality.metric).copied(),
        model: (&build.model).into(),
        golden: (&build.golden).into(),
        answers: build.answers,
        tolerance: Tolerance {
            steps: build.tolerance.steps.unwrap_or(0),
            absolute: build.tolerance.absolute.unwrap_or(0.0) as f32,
            relative: build.tolerance.relative.unwrap_or(0.0) as f32,
        },
        weights: manifest.weights,
        dataset: dataset.map(|entry| (&entry.artefact).into()),
        samples,
        operators: Vec::new(),
        unstated: Unstated::default(),
    }
}

fn chosen(names: &[String], candidates: &[&str]) -> bool {
    names.is_empty() || names.iter().any(|name| candidates.contains(&name.as_str()))
}

fn check_names(wishes: &Wishes, families: &[Family]) -> Result<(), PlanError> {
    let known: Vec<&str> = families.iter().map(|f| f.manifest.name.as_str()).collect();
    for name in &wishes.choice.families {
        if !known.contains(&name.as_str()) {
            return Err(unknown("family", name, &known));
        }
    }
    let in_scope = families
        .iter()
        .filter(|family| chosen(&wishes.choice.families, &[&family.manifest.name]));
    let variants: Vec<String> = in_scope
        .flat_map(|family| {
            let of = move |v: &Variant| {
                [
                    v.name.clone(),
                    format!("{}/{}", family.manifest.name, v.name),
                ]
            };
            family.manifest.variants.iter().flat_map(of)
        })
        .collect();
    let variants: Vec<&str> = variants.iter().map(String::as_str).collect();
    for name in &wishes.choice.variants {
        if !variants.contains(&name.as_str()) {
            return Err(unknown("variant", name, &variants));
        }
    }
    Ok(())
}

fn unknown(what: &'static str, name: &str, known: &[&str]) -> PlanError {
    let nearest = known
        .iter()
        .map(|&candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.75);
    let remedy = match nearest {
        Some((_, candidate)) => format!("did you mean `{candidate}`?"),
        None => "`scalebench models` lists what there is".to_owned(),
    };
    PlanError::Unknown {
        what,
        name: crate::text::escaped(name),
        remedy,
    }
}

/// Fisher and Yates' shuffle. Written out, so that a seed gives the same order in every version.
fn shuffle<T>(items: &mut [T], dice: &mut ChaCha20Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(last + 1, dice));
    }
}

/// A number below `bound`, without bias.
fn below(bound: usize, dice: &mut ChaCha20Rng) -> usize {
    let bound = bound as u64;
    let fair = u64::MAX - u64::MAX % bound;
    loop {
        let roll = dice.next_u64();
        if roll < fair {
            return (roll % bound) as usize;
        }
    }
}

/// Spreads every group evenly over the whole, so that a board that warms up slows all alike.
fn dealt<T>(groups: Vec<Vec<T>>, dice: &mut ChaCha20Rng) -> Vec<T> {
    let mut placed: Vec<(f64, u64, T)> = Vec::new();
    for group in groups {
        let count = group.len() as f64;
        for (place, item) in group.into_iter().enumerate() {
            placed.push(((place as f64 + 0.5) / count, dice.next_u64(), item));
        }
    }
    placed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    placed.into_iter().map(|(_, _, item)| item).collect()
}

/// Loads the families a plan is made of.
///
/// # Errors
/// The first family that cannot be read.
pub fn families(root: Option<&Path>) -> Result<Vec<Family>, scalebench_models::ModelsError> {
    scalebench_models::load_all(&scalebench_models::root(root))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_order_and_another_another() {
        let order = |seed| {
            let mut items: Vec<u32> = (0..20).collect();
            shuffle(&mut items, &mut ChaCha20Rng::seed_from_u64(seed));
            items
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        let mut sorted = order(1);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn families_are_interleaved() {
        let groups = vec![vec!['a'; 10], vec!['b'; 5]];
        let dealt = dealt(groups, &mut ChaCha20Rng::seed_from_u64(3));
        for third in dealt.chunks(3) {
            assert_eq!(third.iter().filter(|&&c| c == 'b').count(), 1, "{dealt:?}");
        }
    }

    #[test]
    fn without_a_choice_only_marked_variants_are_measured() {
        let families = scalebench_models::load_all(&scalebench_models::root(None)).unwrap();
        let mut family = families.into_iter().next().unwrap();
        for (place, variant) in family.manifest.variants.iter_mut().enumerate() {
            variant.default = place == 1;
        }
        let (name, marked) = (
            family.manifest.name.clone(),
            family.manifest.variants[1].name.clone(),
        );
        let total = family.manifest.variants.len();
        let measured = |families: Vec<String>, family: &Family| {
            let wishes = Wishes {
                board: "local".to_owned(),
                thoroughness: Thoroughness::Quick,
                choice: Choice {
                    families,
                    variants: Vec::new(),
                    precisions: vec![Precision::Float32],
                },
                seed: 1,
                windows: None,
                window_ms: None,
                time_decoding: false,
                power: PowerPlan::default(),
            };
            let plan = Plan::new(&wishes, std::slice::from_ref(family)).unwrap();
            let names = plan.trials.into_iter().map(|trial| trial.variant);
            names.collect::<Vec<_>>()
        };
        assert_eq!(measured(Vec::new(), &family), [marked]);
        assert_eq!(measured(vec![name], &family).len(), total);
    }

    #[test]
    fn a_misspelt_name_gets_a_suggestion() {
        let error = unknown("family", "fashion-cn", &["diamonds-mlp", "fashion-cnn"]);
        assert_eq!(
            error.to_string(),
            "there is no family `fashion-cn`: did you mean `fashion-cnn`?"
        );
    }

    #[test]
    fn a_plan_of_another_schema_is_refused() {
        let error = Plan::from_json(b"{\"schema\": 2}").unwrap_err();
        assert_eq!(
            error.to_string(),
            "this run's plan has schema 2, this scalebench knows 1: use the scalebench that made it"
        );
    }
}
