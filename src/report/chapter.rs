//! What the chapter's run leaves beside its networks' own directories: `chapter.csv`, and `report.md` with a table of the networks.

use super::numbers::{grouped, percent, short};
use super::table;
use crate::{ChapterRecord, EpochRecord};

/// Every epoch of every network: a row each of [`ChapterRecord`].
pub const CHAPTER: &str = "chapter.csv";
/// Test accuracies over training time.
pub const CHAPTER_CURVES: &str = "chapter.png";

/// A network with a test accuracy below this is said to be near chance, which is 10%.
const NEAR_CHANCE: f64 = 0.15;

/// A network of the chapter with the epochs that it has.
#[derive(Clone, Debug)]
pub struct ChapterNetwork {
    /// The recipe's name.
    pub recipe: &'static str,
    /// The section of d2l (0.17) that has it.
    pub section: [u8; 2],
    /// Its name in titles: `AlexNet`, `LeNet (adamw)`.
    pub title: String,
    /// The name of its batch norm, or `none`.
    pub variant: &'static str,
    /// How many numbers are trained.
    pub parameters: usize,
    /// Of convolutions and dense layers for one image, without gradients.
    pub multiply_adds: f64,
    /// Training images of an epoch.
    pub train_examples: usize,
    /// Training images of a step.
    pub batch_size: usize,
    /// Rising epochs.
    pub epochs: Vec<ChapterRecord>,
}

/// The chapter so far.
#[derive(Clone, Copy, Debug)]
pub struct ChapterReport<'a> {
    /// Of training, for each network.
    pub minutes: f64,
    /// What was run, in the order of the table.
    pub facts: &'a [(String, String)],
    /// In the order of the table.
    pub networks: &'a [ChapterNetwork],
}

impl ChapterNetwork {
    /// Replaces the epochs by those of the network's own run directory. `memory` is the peak of the process that trained the new ones;
    /// known peaks stay.
    pub fn take_in(&mut self, epochs: &[EpochRecord], memory: Option<u64>) {
        let known = std::mem::take(&mut self.epochs);
        let mut seconds = 0.0;
        for (i, epoch) in epochs.iter().enumerate() {
            seconds += epoch.train_seconds;
            let before = self.epochs.last().and_then(|before| before.peak_resident_bytes);
            let own = known.get(i).map_or(memory, |known| known.peak_resident_bytes);
            self.epochs.push(ChapterRecord {
                network: self.recipe.to_owned(),
                variant: self.variant.to_owned(),
                epoch: epoch.epoch,
                seconds,
                train_loss: epoch.train_loss,
                train_acc: epoch.train_acc,
                test_loss: epoch.test_loss,
                test_acc: epoch.test_acc,
                examples_per_second: epoch.examples_per_second,
                peak_resident_bytes: before.max(own),
                peak_device_bytes: epoch.peak_memory_bytes,
            });
        }
    }

    /// The name of its run directory: `alexnet-none`.
    pub fn name(&self) -> String {
        format!("{}-{}", self.recipe, self.variant)
    }

    /// Minutes of training so far.
    pub fn minutes(&self) -> f64 {
        self.epochs.last().map_or(0.0, |last| last.seconds / 60.0)
    }

    /// Whether the last epoch's loss is not finite.
    pub fn has_diverged(&self) -> bool {
        self.epochs.last().is_some_and(|last| !last.train_loss.is_finite())
    }

    /// Training steps so far.
    fn steps(&self) -> usize {
        self.epochs.len() * self.train_examples.div_ceil(self.batch_size)
    }

    /// Training examples per second over all epochs; 0 before the first.
    fn examples_per_second(&self) -> f64 {
        let examples = self.epochs.len() * self.train_examples;
        self.epochs.last().map_or(0.0, |last| examples as f64 / last.seconds)
    }

    /// What picture and screen call it: `7.1 AlexNet, none`.
    pub(super) fn numbered_title(&self) -> String {
        let [chapter, section] = self.section;
        format!("{chapter}.{section} {}, {}", self.title, self.variant)
    }

    /// What the screen says of it once its time is up.
    pub fn line(&self) -> String {
        let (name, epochs, reached) = (self.numbered_title(), self.epochs.len(), self.reached());
        let speed = grouped(self.examples_per_second());
        format!("{name:22} test acc {reached}, epochs {epochs}, {speed} examples/s")
    }

    /// The last test accuracy, or in which epoch it diverged.
    fn reached(&self) -> String {
        match self.epochs.last() {
            Some(last) if self.has_diverged() => format!("diverged in epoch {}", last.epoch),
            Some(last) => percent(last.test_acc),
            None => String::new(),
        }
    }

    fn peak_mebibytes(&self, bytes: fn(&ChapterRecord) -> Option<u64>) -> String {
        let peak = self.epochs.iter().filter_map(bytes).max();
        peak.map_or(String::new(), |bytes| grouped(bytes as f64 / f64::from(1 << 20)))
    }
}

impl ChapterReport<'_> {
    /// The rows of `chapter.csv`.
    pub fn rows(&self) -> Vec<ChapterRecord> {
        self.networks.iter().flat_map(|network| &network.epochs).cloned().collect()
    }

    /// The device and its threads, in a line.
    pub(super) fn machine(&self) -> String {
        let is_named = |(name, _): &&(String, String)| ["device", "processor", "threads"].contains(&&**name);
        let facts = self.facts.iter().filter(is_named).map(|(name, value)| format!("{name} {value}"));
        facts.collect::<Vec<_>>().join(", ")
    }

    /// `report.md`, in GitHub's Markdown.
    pub fn render(&self) -> String {
        let minutes = short(self.minutes);
        let is_open = |network: &&ChapterNetwork| network.minutes() < self.minutes && !network.has_diverged();
        let remark = match self.networks.iter().filter(is_open).count() {
            0 => String::new(),
            open => format!("> **{open} of {} networks have time left.**\n\n", self.networks.len()),
        };
        format!(
            "# Chapter 7: {minutes} minutes of training for each network\n\n\
             {remark}![Test accuracy over training time]({CHAPTER_CURVES})\n\n\
             ## What each network reached\n\n{}\n\
             Each network has its recipe's hyperparameters, the large ones with the batch size of the table, and is trained until an epoch ends after {minutes} minutes or more. That \
             time is of training with its data preparation; evaluation is not counted. Multiply-adds are those of \
             convolutions and dense layers in the forward pass of one image, as `d2l_ch7 list` counts them; each is two floating-point \
             operations, and the gradients take about twice as many more. The peak is the most main memory that the network's \
             process had at a time, libtorch itself included.\n\n\
             {}`{CHAPTER}` has every epoch with all digits, `networks/` the run directory of each network.\n\n\
             ## What was run\n\n{}",
            self.table(),
            self.near_chance(),
            table(2, ["setting", "value"], self.facts.iter().cloned().map(<[String; 2]>::from)),
        )
    }

    fn table(&self) -> String {
        let heads = [
            "section",
            "network",
            "batch norm",
            "parameters",
            "10^6 multiply-adds",
            "examples/s",
            "peak MiB",
            "batch size",
            "steps",
            "minutes",
            "test accuracy",
        ];
        let has_device = self.networks.iter().any(|network| !network.peak_mebibytes(ON_DEVICE).is_empty());
        let device = |text: String| has_device.then_some(text);
        let rows = self.networks.iter().map(|network| {
            let [chapter, section] = network.section;
            let cells = [
                format!("{chapter}.{section}"),
                network.title.clone(),
                network.variant.to_owned(),
                whole(network.parameters),
                grouped(network.multiply_adds / 1e6),
                grouped(network.examples_per_second()),
                network.peak_mebibytes(|epoch| epoch.peak_resident_bytes),
                whole(network.batch_size),
                whole(network.steps()),
                format!("{:.2}", network.minutes()),
                network.reached(),
            ];
            cells.into_iter().chain(device(network.peak_mebibytes(ON_DEVICE)))
        });
        let heads = heads.into_iter().map(str::to_owned).chain(device("device peak MiB".to_owned()));
        table(3, heads, rows)
    }

    /// A paragraph on the networks that have not learned yet, if any.
    fn near_chance(&self) -> String {
        let has_learned_nothing = |network: &&ChapterNetwork| {
            network.epochs.last().is_some_and(|last| last.test_acc < NEAR_CHANCE) && !network.has_diverged()
        };
        let names: Vec<String> =
            self.networks.iter().filter(has_learned_nothing).map(ChapterNetwork::numbered_title).collect();
        match names.len() {
            0 => String::new(),
            _ => format!(
                "**Near chance, which is 10%, after this time: {}.** At the book's learning rate they have \
                 learned nothing yet, which is a result; `d2l_ch7 --resume DIR --minutes N` trains on.\n\n",
                names.join("; ")
            ),
        }
    }
}

const ON_DEVICE: fn(&ChapterRecord) -> Option<u64> = |epoch| epoch.peak_device_bytes;

fn whole(count: usize) -> String {
    grouped(count as f64).trim_end_matches(".0").to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::report::tests::{cells, record};

    /// Three epochs of two seconds each.
    pub fn network(recipe: &'static str, variant: &'static str) -> ChapterNetwork {
        let mut network = ChapterNetwork {
            recipe,
            section: [7, 1],
            title: "AlexNet".to_owned(),
            variant,
            parameters: 46_764_746,
            multiply_adds: 9.381e8,
            train_examples: 768,
            batch_size: 32,
            epochs: Vec::new(),
        };
        network.take_in(&[1, 2, 3].map(|epoch| record(variant, epoch)), Some(3 << 30));
        network
    }

    pub fn report(networks: &[ChapterNetwork]) -> ChapterReport<'_> {
        ChapterReport { minutes: 0.1, facts: &[], networks }
    }

    #[test]
    fn a_row_says_what_a_network_costs_and_reached() {
        let mut networks = [network("alexnet", "none")];
        let text = report(&networks).render();
        let rows = cells(&text, "## What each network reached");
        let expected =
            ["7.1", "AlexNet", "none", "46,764,746", "938.1", "384.0", "3,072", "32", "72", "0.10", "83.00%"];
        assert_eq!(rows[1], expected);
        assert!(!text.contains("time left") && !text.contains("Near chance"), "{text}");

        networks[0].epochs.pop();
        networks[0].epochs[1].test_acc = 0.1;
        networks[0].epochs[1].peak_device_bytes = Some(5 << 20);
        let text = report(&networks).render();
        assert_eq!(cells(&text, "## What each network reached")[1][11], "5.0");
        assert!(text.contains("1 of 1 networks have time left"), "{text}");
        assert!(text.contains("Near chance, which is 10%, after this time: 7.1 AlexNet, none."), "{text}");
        networks[0].epochs[1].train_loss = f64::NAN;
        let text = report(&networks).render();
        assert!(text.contains("diverged in epoch 2") && !text.contains("time left"), "{text}");
    }

    /// The process that goes on has taken less so far.
    #[test]
    fn the_peak_of_memory_is_that_of_all_processes() {
        let mut network = network("alexnet", "none");
        let epochs: Vec<EpochRecord> = (1..=4).map(|epoch| record("none", epoch)).collect();
        network.take_in(&epochs, Some(1 << 30));
        let peaks: Vec<_> = network.epochs.iter().map(|epoch| epoch.peak_resident_bytes).collect();
        assert_eq!(peaks, [Some(3 << 30); 4]);
        network.take_in(&[1, 2, 3, 4, 5].map(|epoch| record("none", epoch)), Some(4 << 30));
        assert_eq!(network.peak_mebibytes(|epoch| epoch.peak_resident_bytes), "4,096");
        assert_eq!(network.epochs[4].seconds, 10.0);
    }
}
