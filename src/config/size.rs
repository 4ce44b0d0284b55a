//! Sizes as people write them: `512KiB`, `32MiB`.

const UNITS: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];

/// Bytes, when `text` is a whole number and a unit.
pub(super) fn parse(text: &str) -> Option<u64> {
    let (number, unit) =
        UNITS.iter().find_map(|(unit, bytes)| Some((text.trim().strip_suffix(unit)?, bytes)))?;
    number.trim_end().parse::<u64>().ok()?.checked_mul(*unit)
}

/// The same, in the largest unit that leaves a whole number.
pub fn write(bytes: u64) -> String {
    let fitting = UNITS.iter().rev().filter(|(_, unit)| bytes.is_multiple_of(*unit));
    let (unit, size) = fitting.max_by_key(|(_, unit)| *unit).unwrap_or(&UNITS[3]);
    format!("{}{unit}", bytes / size)
}
