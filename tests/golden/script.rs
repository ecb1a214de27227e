//! The files: conversations with the Java gateway's answers, and the named differences.
//!
//! ```text
//! # a comment
//! == the title of a conversation
//! needs pulsar: why the embedded broker will not do
//! any partition first: why they are to be numbered by the order of their appearance
//! >>> p open $producer
//! <<< 101
//! >>> p ask {"payload":"eA=="}
//! <<< {"result":"ok","messageId":"A:0","errorCode":0,"schemaVersion":0}
//! ```
//!
//! What can stand behind `>>>` is in `player`, what is replaced in answers is in `normal`.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// One area.
pub struct File {
    pub name: String,
    path: PathBuf,
    /// `key=value`, for the gateway.
    pub settings: Vec<String>,
    /// What stands before the first conversation.
    head: String,
    pub conversations: Vec<Conversation>,
}

pub struct Conversation {
    pub title: String,
    pub needs_pulsar: bool,
    /// Partitions are numbered by the order of their appearance.
    pub any_partition: bool,
    /// Lines between the title and the first step.
    head: String,
    pub steps: Vec<Step>,
}

pub struct Step {
    /// Comments above it.
    comment: String,
    pub text: String,
    /// The Java gateway's answers, normalised.
    pub java: Vec<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// In the order of their names.
pub fn read_files() -> Vec<File> {
    let entries = std::fs::read_dir(folder().join("conversations")).expect("the folder is there");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|end| end == "txt"))
        .collect();
    paths.sort();
    paths.into_iter().map(File::read).collect()
}

impl File {
    fn read(path: PathBuf) -> File {
        let text = std::fs::read_to_string(&path).expect("a text file");
        let name = path.file_stem().expect("a name").to_string_lossy().into();
        let mut file = File {
            name,
            path,
            settings: Vec::new(),
            head: String::new(),
            conversations: Vec::new(),
        };
        let mut comment = String::new();
        for line in text.lines() {
            file.take(line, &mut comment);
        }
        file
    }

    fn take(&mut self, line: &str, comment: &mut String) {
        if let Some(title) = line.strip_prefix("== ") {
            self.conversations.push(Conversation {
                title: title.to_owned(),
                needs_pulsar: false,
                any_partition: false,
                head: std::mem::take(comment),
                steps: Vec::new(),
            });
            return;
        }
        let Some(conversation) = self.conversations.last_mut() else {
            if let Some(settings) = line.strip_prefix("with ") {
                self.settings = settings.split(' ').map(str::to_owned).collect();
            }
            let _ = writeln!(self.head, "{line}");
            return;
        };
        if let Some(text) = line.strip_prefix(">>> ") {
            conversation.steps.push(Step {
                comment: std::mem::take(comment),
                text: text.to_owned(),
                java: Vec::new(),
            });
        } else if let Some(answer) = line.strip_prefix("<<< ") {
            let step = conversation.steps.last_mut().expect("a step before");
            step.java.push(answer.to_owned());
        } else {
            conversation.needs_pulsar |= line.starts_with("needs pulsar");
            conversation.any_partition |= line.starts_with("any partition");
            let _ = writeln!(comment, "{line}");
        }
    }

    /// With `PWS_GOLDEN_RECORD`: the file as it is to be, with the answers that have just been heard.
    pub fn write_records(&self) {
        if !recording() {
            return;
        }
        let mut text = self.head.clone();
        for conversation in &self.conversations {
            let _ = writeln!(text, "{}== {}", conversation.head, conversation.title);
            for step in &conversation.steps {
                let _ = writeln!(text, "{}>>> {}", step.comment, step.text);
                for answer in &step.java {
                    let _ = writeln!(text, "<<< {answer}");
                }
            }
            text.push('\n');
        }
        let mut text = text.replace("\n\n\n", "\n\n");
        text.truncate(text.trim_end().len());
        std::fs::write(&self.path, text + "\n").expect("the file can be written");
    }
}

pub fn recording() -> bool {
    std::env::var_os("PWS_GOLDEN_RECORD").is_some()
}

/// One answer that is another one here.
#[derive(Debug)]
pub struct Difference {
    /// The row of README's table: its two cells.
    pub row: String,
    /// `file / title / number of the step`
    pub place: String,
    /// The step itself, to read.
    pub step: String,
    pub java: Vec<String>,
    pub here: Vec<String>,
}

pub struct Differences(pub Vec<Difference>);

impl Differences {
    pub fn read() -> Differences {
        let text = std::fs::read_to_string(folder().join("differences.txt"));
        let mut all: Vec<Difference> = Vec::new();
        let mut row = String::new();
        let mut place = String::new();
        for line in text.expect("a text file").lines() {
            if let Some(text) = line.strip_prefix("## ") {
                row = text.to_owned();
            } else if let Some(text) = line.strip_prefix("at ") {
                place = text.to_owned();
            } else if let Some(step) = line.strip_prefix(">>> ") {
                all.push(Difference {
                    row: row.clone(),
                    place: place.clone(),
                    step: step.to_owned(),
                    java: Vec::new(),
                    here: Vec::new(),
                });
            } else if let Some(answer) = line.strip_prefix("java: ") {
                all.last_mut().expect("a step").java.push(answer.to_owned());
            } else if let Some(answer) = line.strip_prefix("here: ") {
                all.last_mut().expect("a step").here.push(answer.to_owned());
            }
        }
        Differences(all)
    }

    pub fn at(&self, place: &str) -> Option<&Difference> {
        self.0.iter().find(|difference| difference.place == place)
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "at {}\n>>> {}", self.place, self.step)?;
        for answer in &self.java {
            writeln!(f, "java: {answer}")?;
        }
        for answer in &self.here {
            writeln!(f, "here: {answer}")?;
        }
        Ok(())
    }
}
