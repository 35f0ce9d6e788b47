//! The result of one shard in a file, and the result of all shards together.
//!
//! The file is a line that names the format, the length of a JSON document (8 bytes, little-endian), the document, the
//! outcomes of all requests, and the CRC-32 of all this (4 bytes, little-endian). Outcomes are read from the file when the
//! ledger needs them, so that a merge holds no second copy.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::codes::CodeTable;
use super::outcomes::{ChunkLengths, Outcomes, chunk_bytes};
use super::record::SendRecord;
use super::result::{PlayedPlan, RunResult};
use super::shard::Shard;
use crate::environment::OfferedSale;
use crate::report::{AbortedRun, GeneratorHealth, Machine, ProcessUse, RequestTotals};
use crate::workload::RunId;

/// Raised when a reader of the old format would misread the new one.
const FIRST_LINE: &[u8; 16] = b"spillway-part-1\n";

const LENGTH_BYTES: usize = 8;

const CHECKSUM_BYTES: u64 = 4;

const BUFFER_BYTES: usize = 1 << 20;

/// A shard of a run, and the process that played it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PartFacts {
    pub run_id: RunId,
    pub shard: Shard,
    /// The scenario as played. TOML keeps every digit.
    pub scenario_toml: String,
    pub sale: OfferedSale,
    /// The common start, RFC 3339.
    pub start_at: String,
    pub host: String,
    pub machine: Machine,
    pub interrupted: bool,
    pub aborted: Option<AbortedRun>,
    pub totals: RequestTotals,
    pub generator: GeneratorHealth,
    pub processes: Vec<ProcessUse>,
}

#[derive(Serialize, Deserialize)]
struct PartDocument<Record> {
    facts: PartFacts,
    took_ns: u64,
    /// Names of the problem codes, by their number in the record and the outcomes.
    codes: Vec<String>,
    record: Record,
    chunks: Vec<ChunkLengths>,
}

/// A part that will be written to its place. Until then the place is free.
#[derive(Debug)]
pub(crate) struct PartFile {
    path: PathBuf,
    file: NamedTempFile,
}

impl PartFile {
    /// # Errors
    /// If `path` exists, or its folder cannot be written.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        ensure!(!path.exists(), "{} exists; a part is never overwritten", path.display());
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let file = NamedTempFile::new_in(folder).with_context(|| path.display().to_string())?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Writes `played`, complete or not at all.
    pub(crate) fn write(self, facts: PartFacts, played: &RunResult) -> anyhow::Result<PathBuf> {
        let record = &played.record;
        let document = PartDocument {
            facts,
            took_ns: played.took.as_nanos() as u64,
            codes: record.codes.iter().map(ToString::to_string).collect(),
            record,
            chunks: record.outcomes.lengths(),
        };
        let document = serde_json::to_vec(&document)?;
        let mut out = ChecksumWriter { out: BufWriter::new(&self.file), checksum: crc32fast::Hasher::new() };
        let written = out
            .write_all(FIRST_LINE)
            .and_then(|()| out.write_all(&(document.len() as u64).to_le_bytes()))
            .and_then(|()| out.write_all(&document))
            .and_then(|()| record.outcomes.write(&mut out))
            .and_then(|()| out.finish());
        written.with_context(|| format!("writing {}", self.path.display()))?;
        self.file.persist(&self.path).with_context(|| self.path.display().to_string())?;
        Ok(self.path)
    }
}

struct ChecksumWriter<Out> {
    out: Out,
    checksum: crc32fast::Hasher,
}

impl<Out: Write> ChecksumWriter<Out> {
    fn finish(mut self) -> std::io::Result<()> {
        self.out.write_all(&self.checksum.finalize().to_le_bytes())?;
        self.out.flush()
    }
}

impl<Out: Write> Write for ChecksumWriter<Out> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.checksum.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// A part read from its file, which holds the outcomes.
#[derive(Debug)]
pub(crate) struct PlayedPart {
    pub path: PathBuf,
    pub facts: PartFacts,
    took: Duration,
    codes: Vec<String>,
    record: SendRecord,
}

impl PlayedPart {
    /// # Errors
    /// If the file cannot be read, is not a part, or is damaged or truncated.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        Self::open(path).with_context(|| path.display().to_string())
    }

    fn open(path: &Path) -> anyhow::Result<Self> {
        let mut file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let mut head = [0; FIRST_LINE.len() + LENGTH_BYTES];
        let is_part = file.read_exact(&mut head).is_ok() && head.starts_with(b"spillway-part-");
        ensure!(is_part, "not a part of `loadtest run --shard`");
        ensure!(head.starts_with(FIRST_LINE), "a part in the format of another version of loadtest");
        let (_, length) = head.split_at(FIRST_LINE.len());
        let document_bytes = length.try_into().map(u64::from_le_bytes)?;
        let head_bytes = head.len() as u64;
        let is_whole = checksum_holds(&mut file, bytes)?;
        let document = Self::document(&mut file, head_bytes, document_bytes.min(bytes));
        let outcome_bytes = |document: &PartDocument<SendRecord>| {
            document.chunks.iter().map(|lengths| chunk_bytes(*lengths)).fold(0, u64::saturating_add)
        };
        let before_outcomes = head_bytes.saturating_add(document_bytes);
        let written = document.as_ref().map_or(before_outcomes, |document| {
            before_outcomes.saturating_add(outcome_bytes(document)).saturating_add(CHECKSUM_BYTES)
        });
        ensure!(bytes >= written, "truncated: {bytes} bytes of at least {written}; copy it again");
        ensure!(is_whole && bytes == written, "damaged: the checksum does not hold; copy it again");
        let PartDocument { facts, took_ns, codes, mut record, chunks } = document?;
        record.outcomes = Outcomes::in_file(file, before_outcomes, &chunks);
        Ok(Self { path: path.to_owned(), facts, took: Duration::from_nanos(took_ns), codes, record })
    }

    fn document(file: &mut File, from: u64, bytes: u64) -> anyhow::Result<PartDocument<SendRecord>> {
        file.seek(SeekFrom::Start(from))?;
        let mut document = Vec::new();
        file.take(bytes).read_to_end(&mut document)?;
        Ok(serde_json::from_slice(&document)?)
    }
}

/// True if the last bytes of `file`, which has `bytes`, are the checksum of all others.
fn checksum_holds(file: &mut File, bytes: u64) -> anyhow::Result<bool> {
    file.seek(SeekFrom::Start(0))?;
    let mut rest = file.take(bytes.saturating_sub(CHECKSUM_BYTES));
    let (mut checksum, mut buffer) = (crc32fast::Hasher::new(), vec![0; BUFFER_BYTES]);
    loop {
        match rest.read(&mut buffer)? {
            0 => break,
            read => checksum.update(&buffer[..read]),
        }
    }
    let mut stored = [0; CHECKSUM_BYTES as usize];
    rest.into_inner().read_exact(&mut stored)?;
    Ok(u32::from_le_bytes(stored) == checksum.finalize())
}

/// The result of all `parts` of one run, with `plan`'s schedule and workload. Histograms are added, so that percentiles are
/// those of all requests.
///
/// # Errors
/// If a part has other intervals than `plan`.
pub(crate) fn merge(parts: Vec<PlayedPart>, plan: PlayedPlan) -> anyhow::Result<RunResult> {
    let interval_ns = u64::from(plan.interval_ms) * 1_000_000;
    let (table, mut all) = (CodeTable::default(), SendRecord::new(interval_ns, plan.schedule.length()));
    let mut took = Duration::ZERO;
    for part in parts {
        let PlayedPart { path, codes, mut record, took: of_part, .. } = part;
        if !record.has_intervals(interval_ns) {
            bail!("{}: other intervals than the scenario's", path.display());
        }
        record.renumber(&codes, &table);
        all.merge(record)?;
        took = took.max(of_part);
    }
    all.codes = table.names();
    Ok(RunResult::new(plan, all, took))
}

#[cfg(test)]
mod tests;
