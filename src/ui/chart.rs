//! Charts drawn by the server as SVG, so that numbers can be seen as shapes without any script.
//!
//! The policy of the pages forbids styles inside the markup: everything here has classes, and
//! `chart.css` gives them colours. Texts cannot be measured on a server, so they are estimated.

use std::fmt::Write;

/// The most series that can be told apart; those after them are left out.
const MOST: usize = 8;
/// Units across: one is about a pixel where the chart has the room it was drawn for.
const WIDE: f64 = 640.0;
const NARROW: f64 = 340.0;
const HEIGHT: f64 = 240.0;
/// What a chart without numbers needs.
const LOW: f64 = 96.0;
/// The room around the plot at its upper, lower and right edges.
const ABOVE: f64 = 10.0;
const BELOW: f64 = 26.0;
const BESIDE: f64 = 10.0;
/// Between a text and what is next to it.
const GAP: f64 = 8.0;
/// From the middle of a line of text to its baseline.
const BASELINE: f64 = 4.0;
/// A letter at the font size of the charts, and one of a script whose letters are squares.
const LETTER: f64 = 6.5;
const SQUARE: f64 = 11.0;
/// With this much room for each, the labels below the plot are cut to it; with less, some are left
/// out and the others stay whole, up to the second.
const ROOMY: f64 = 80.0;
const WHOLE: f64 = 130.0;
/// Points closer than this hide the line, and show only under the pointer.
const DENSE: f64 = 10.0;
/// What is said of every number up to so many labels; beyond, only the extremes are told.
const TOLD: usize = 12;
/// Numbers beyond these are drawn as these, so that nothing overflows.
const LARGEST: f64 = 1e300;
const SMALLEST: f64 = 1e-290;

/// One series of numbers over shared labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What the numbers are.
    pub name: String,
    /// A number for each label. None, and what is no finite number, leaves a gap.
    pub values: Vec<Option<f64>>,
}

impl Series {
    /// The number over the label at `index`, if there is one that can be drawn.
    fn value(&self, index: usize) -> Option<f64> {
        self.values.get(index).copied().flatten().filter(|value| value.is_finite())
    }
}

/// The shape of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Columns, side by side for each label.
    Bars,
    /// Lines with points, broken where a number is missing.
    Lines,
    /// Bars from left to right with their numbers beside them, for labels that are long names.
    Shares,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Bars => "bars",
            Self::Lines => "lines",
            Self::Shares => "shares",
        }
    }

    fn described(self) -> &'static str {
        match self {
            Self::Bars => "Columns",
            Self::Lines => "Lines",
            Self::Shares => "Bars",
        }
    }
}

/// Numbers to draw. They are drawn in the order they have.
pub struct Chart<'a> {
    /// What the chart shows. Screen readers say it; a heading beside the chart may show it.
    pub title: &'a str,
    /// The shape.
    pub kind: Kind,
    /// What the numbers are of, such as days or names.
    pub labels: &'a [String],
    /// The numbers. Only the first eight series are drawn.
    pub series: &'a [Series],
    /// Writes a number as its readers are used to it.
    pub format: &'a dyn Fn(f64) -> String,
}

impl Chart<'_> {
    /// The SVG element, with a title and a description for screen readers.
    pub fn svg(&self) -> String {
        self.drawn(WIDE)
    }

    /// The same drawn for a phone. Right after the other, one of the two shows.
    pub fn narrow(&self) -> String {
        self.drawn(NARROW)
    }

    /// What colour and dashes each series has, as a list. Empty when there is only one.
    pub fn legend(&self) -> String {
        let mut html = Markup::default();
        if self.series.len() < 2 {
            return html.0;
        }
        let swatch = match self.kind {
            Kind::Lines => "\" width=\"28\" height=\"12\"><path class=\"line\" d=\"M0 6H28\"/>",
            _ => "\" width=\"12\" height=\"12\"><rect width=\"12\" height=\"12\" rx=\"2\"/>",
        };
        html.raw("<ul class=\"legend\" role=\"list\">");
        for (class, series) in self.shown() {
            html.raw("<li><svg aria-hidden=\"true\" class=\"swatch ").raw(&class).raw(swatch);
            html.raw("</svg>").text(&series.name).raw("</li>");
        }
        html.raw("</ul>");
        html.0
    }

    /// The series that are drawn, with their classes.
    fn shown(&self) -> impl Iterator<Item = (String, &Series)> {
        self.series
            .iter()
            .take(MOST)
            .enumerate()
            .map(|(at, series)| (format!("s{}", at + 1), series))
    }

    /// Every number that is drawn.
    fn numbers(&self) -> impl Iterator<Item = f64> {
        let each = |series| (0..self.labels.len()).filter_map(move |at| Series::value(series, at));
        self.series.iter().take(MOST).flat_map(each)
    }

    fn drawn(&self, width: f64) -> String {
        let mut body = Markup::default();
        let height = match self.kind {
            _ if self.numbers().next().is_none() => self.nothing(&mut body, width),
            Kind::Bars | Kind::Lines => self.upright(&mut body, width),
            Kind::Shares => self.lying(&mut body, width),
        };
        let description = self.description();
        let id = format!("chart-{:016x}", hash(&[self.title, &description, &body.0]));
        let mut svg = Markup::default();
        svg.raw("<svg class=\"chart\" data-kind=\"").raw(self.kind.name()).raw("\"");
        if width < WIDE {
            svg.raw(" data-narrow");
        }
        svg.raw(" viewBox=\"0 0 ").number(width).raw(" ").number(height).raw("\" role=\"img\"");
        svg.raw(" aria-labelledby=\"").raw(&id).raw("-t ").raw(&id).raw("-d\">");
        svg.raw("<title id=\"").raw(&id).raw("-t\">").text(self.title).raw("</title>");
        svg.raw("<desc id=\"").raw(&id).raw("-d\">").text(&description).raw("</desc>");
        svg.raw(&body.0).raw("</svg>");
        svg.0
    }

    /// Says that there is nothing to draw.
    fn nothing(&self, svg: &mut Markup, width: f64) -> f64 {
        svg.raw("<g class=\"labels\" text-anchor=\"middle\">");
        svg.label(width / 2.0, LOW / 2.0 + BASELINE, "No numbers").raw("</g>");
        LOW
    }

    /// The chart in words.
    fn description(&self) -> String {
        let mut words = self.kind.described().to_owned();
        if let [first, .., last] = self.labels {
            _ = write!(words, " for {} labels, from {first} to {last}", self.labels.len());
        }
        words.push('.');
        for (_, series) in self.shown() {
            _ = write!(words, " {}: {}.", series.name, self.told(series));
        }
        words
    }

    /// A series in words: all of a short one, the extremes of a long one.
    fn told(&self, series: &Series) -> String {
        let pairs =
            || self.labels.iter().enumerate().filter_map(|(at, l)| Some((l, series.value(at)?)));
        let said = |(label, value): (&String, f64)| format!("{label} {}", (self.format)(value));
        if self.labels.len() <= TOLD {
            let all: Vec<_> = pairs().map(said).collect();
            return if all.is_empty() { "no numbers".to_owned() } else { all.join(", ") };
        }
        let least = pairs().min_by(|a, b| a.1.total_cmp(&b.1)).map(said);
        // The first of those that are equal, as for the least.
        let most = pairs().rev().max_by(|a, b| a.1.total_cmp(&b.1)).map(said);
        match (least, most) {
            (Some(least), Some(most)) => format!("lowest {least}, highest {most}"),
            _ => "no numbers".to_owned(),
        }
    }

    /// What a mark says under the pointer.
    fn hint(&self, svg: &mut Markup, at: usize, series: &Series, value: f64) {
        svg.raw("<title>").text(&self.labels[at]).raw(": ").text(&series.name);
        svg.raw(if series.name.is_empty() { "" } else { " " });
        svg.text(&(self.format)(value)).raw("</title>");
    }

    /// Columns or lines: labels below, the scale on the left.
    fn upright(&self, svg: &mut Markup, width: f64) -> f64 {
        let axis = Axis::of(self.numbers(), self.kind == Kind::Bars, self.format);
        let scale: Vec<_> =
            axis.0.iter().map(|&at| fitted(&(self.format)(at), width / 3.0)).collect();
        let left = scale.iter().map(|text| breadth(text)).fold(0.0, f64::max) + GAP;
        let slot = (width - left - BESIDE) / self.labels.len().max(1) as f64;
        let plot = Plot { axis, left, width, slot };
        plot.grid(svg, &scale);
        self.below(svg, &plot);
        match self.kind {
            Kind::Lines => self.lines(svg, &plot),
            Kind::Bars | Kind::Shares => self.columns(svg, &plot),
        }
        HEIGHT
    }

    /// As many of the labels as there is room for.
    fn below(&self, svg: &mut Markup, plot: &Plot) {
        let own = plot.slot - GAP;
        let room = if own < ROOMY { WHOLE } else { own };
        let texts: Vec<_> = self.labels.iter().map(|label| fitted(label, room)).collect();
        let middles: Vec<_> =
            texts.iter().enumerate().map(|(at, text)| plot.within(at, text)).collect();
        let span = |(text, middle): (&String, &f64)| {
            let half = breadth(text) / 2.0;
            (middle - half, middle + half)
        };
        let spans: Vec<_> = texts.iter().zip(&middles).map(span).collect();
        svg.raw("<g class=\"labels\" text-anchor=\"middle\">");
        for at in kept(&spans) {
            svg.label(middles[at], HEIGHT - GAP, &texts[at]);
        }
        svg.raw("</g>");
    }

    fn columns(&self, svg: &mut Markup, plot: &Plot) {
        let series = self.series.len().clamp(1, MOST) as f64;
        // Gaps of less than a pixel would only shimmer.
        let filled = if plot.slot < 4.0 { 1.0 } else { 0.75 };
        let group = (plot.slot * filled).min(series * 40.0);
        let pitch = group / series;
        let bar = if pitch > 4.0 { pitch - 1.0 } else { pitch.max(0.5) };
        for (nth, (class, series)) in self.shown().enumerate() {
            svg.raw("<g class=\"").raw(&class).raw("\">");
            for at in 0..self.labels.len() {
                let Some(value) = series.value(at) else { continue };
                let (from, to) = plot.column(value);
                let x = plot.middle(at) - group / 2.0 + pitch * nth as f64;
                svg.bar(x, from, bar, to - from);
                self.hint(svg, at, series, value);
                svg.raw("</rect>");
            }
            svg.raw("</g>");
        }
    }

    fn lines(&self, svg: &mut Markup, plot: &Plot) {
        for (class, series) in self.shown() {
            let point = |at| Some((at, series.value(at)?));
            let points: Vec<_> = (0..self.labels.len()).map(point).collect();
            let runs = || points.split(Option::is_none).filter(|run| !run.is_empty());
            svg.raw("<g class=\"").raw(&class);
            svg.raw(if plot.slot < DENSE { "\" data-dense>" } else { "\">" });
            self.pieces(svg, plot, runs());
            for run in runs() {
                for &(at, value) in run.iter().flatten() {
                    svg.raw("<circle cx=\"").number(plot.middle(at));
                    svg.raw("\" cy=\"").number(plot.y(value));
                    svg.raw(if run.len() == 1 { "\" r=\"3\" data-alone>" } else { "\" r=\"3\">" });
                    self.hint(svg, at, series, value);
                    svg.raw("</circle>");
                }
            }
            svg.raw("</g>");
        }
    }

    /// The line of a series, one piece for each run of numbers. A run of one is only a point.
    fn pieces<'r>(
        &self,
        svg: &mut Markup,
        plot: &Plot,
        runs: impl Iterator<Item = &'r [Option<(usize, f64)>]>,
    ) {
        let mut path = Markup::default();
        for run in runs.filter(|run| run.len() > 1) {
            for (nth, &(at, value)) in run.iter().flatten().enumerate() {
                path.raw(if nth == 0 { "M" } else { "L" });
                path.number(plot.middle(at)).raw(" ").number(plot.y(value));
            }
        }
        if !path.0.is_empty() {
            svg.raw("<path class=\"line\" d=\"").raw(&path.0).raw("\"/>");
        }
    }

    /// Bars from left to right: names on the left, numbers at their ends.
    fn lying(&self, svg: &mut Markup, width: f64) -> f64 {
        let series = self.series.len().clamp(1, MOST) as f64;
        let bar = if series > 1.0 { 13.0 } else { 16.0 };
        let rows = Rows { bar, pitch: bar * series + GAP, ..self.rows(width) };
        let height = rows.pitch * self.labels.len() as f64 + GAP;
        self.names(svg, &rows);
        for (nth, (class, series)) in self.shown().enumerate() {
            svg.raw("<g class=\"").raw(&class).raw("\">");
            for at in 0..self.labels.len() {
                let Some(value) = series.value(at) else { continue };
                let y = rows.top(at) + bar * nth as f64;
                self.share(svg, &rows, y, (at, series, value));
            }
            svg.raw("</g>");
        }
        svg.raw("<path class=\"base\" d=\"M")
            .number(rows.x(0.0))
            .raw(" 0V")
            .number(height)
            .raw("\"/>");
        height
    }

    /// How the width is shared between names, numbers below zero, bars and numbers above zero.
    fn rows(&self, width: f64) -> Rows {
        let longest = |texts: &mut dyn Iterator<Item = f64>| texts.fold(0.0, f64::max);
        let names = longest(&mut self.labels.iter().map(|label| breadth(label))).min(width * 0.4);
        let room = width * 0.2;
        let number = |value: f64| breadth(&(self.format)(value)).min(room) + GAP;
        let before = longest(&mut self.numbers().filter(|value| *value < 0.0).map(number));
        let after = longest(&mut self.numbers().filter(|value| *value >= 0.0).map(number));
        let (low, high) = spread(self.numbers().chain([0.0]));
        let left = names + GAP + before;
        Rows { names, room, low, high, left, right: width - after, bar: 0.0, pitch: 0.0 }
    }

    /// The labels; one that is cut shows all of itself under the pointer.
    fn names(&self, svg: &mut Markup, rows: &Rows) {
        svg.raw("<g class=\"labels\" text-anchor=\"end\">");
        for (at, label) in self.labels.iter().enumerate() {
            let text = fitted(label, rows.names);
            let y = rows.top(at) + (rows.pitch - GAP) / 2.0 + BASELINE;
            svg.raw("<text x=\"")
                .number(rows.names)
                .raw("\" y=\"")
                .number(y)
                .raw("\">")
                .text(&text);
            if text != *label {
                svg.raw("<title>").text(label).raw("</title>");
            }
            svg.raw("</text>");
        }
        svg.raw("</g>");
    }

    /// One bar and its number.
    fn share(&self, svg: &mut Markup, rows: &Rows, y: f64, mark: (usize, &Series, f64)) {
        let (at, series, value) = mark;
        let (zero, end) = (rows.x(0.0), rows.x(value));
        let (from, to) =
            if value < 0.0 { (end.min(zero - 1.0), zero) } else { (zero, end.max(zero + 1.0)) };
        svg.bar(from, y, to - from, rows.bar - 1.0);
        self.hint(svg, at, series, value);
        svg.raw("</rect>");
        let text = fitted(&(self.format)(value), rows.room);
        let (x, anchor) = if value < 0.0 { (from - 4.0, "end") } else { (to + 4.0, "start") };
        svg.raw("<text text-anchor=\"").raw(anchor).raw("\" x=\"").number(x);
        svg.raw("\" y=\"").number(y + (rows.bar - 1.0) / 2.0 + BASELINE).raw("\">");
        svg.text(&text).raw("</text>");
    }
}

/// Where things are in a chart with its scale on the left.
struct Plot {
    axis: Axis,
    left: f64,
    width: f64,
    /// The room of one label.
    slot: f64,
}

impl Plot {
    fn middle(&self, at: usize) -> f64 {
        self.left + self.slot * (at as f64 + 0.5)
    }

    /// The middle of a label below the plot, which may not leave the chart.
    fn within(&self, at: usize, text: &str) -> f64 {
        let half = breadth(text) / 2.0;
        self.middle(at).min(self.width - half).max(half)
    }

    fn y(&self, value: f64) -> f64 {
        ABOVE + (HEIGHT - ABOVE - BELOW) * (1.0 - self.axis.share(value))
    }

    /// Where a column begins and ends. Even one of zero can be seen and pointed at.
    fn column(&self, value: f64) -> (f64, f64) {
        let (zero, end) = (self.y(0.0), self.y(value));
        if value < 0.0 { (zero, end.max(zero + 1.0)) } else { (end.min(zero - 1.0), zero) }
    }

    /// The lines of the scale and what they stand for.
    fn grid(&self, svg: &mut Markup, texts: &[String]) {
        let right = self.width - BESIDE;
        for &tick in &self.axis.0 {
            svg.raw(if tick == 0.0 {
                "<path class=\"base\" d=\"M"
            } else {
                "<path class=\"grid\" d=\"M"
            });
            svg.number(self.left).raw(" ").number(self.y(tick)).raw("H").number(right).raw("\"/>");
        }
        svg.raw("<g class=\"labels\" text-anchor=\"end\">");
        for (&tick, text) in self.axis.0.iter().zip(texts) {
            svg.label(self.left - GAP / 2.0, self.y(tick) + BASELINE, text);
        }
        svg.raw("</g>");
    }
}

/// Where things are in a chart of bars from left to right.
struct Rows {
    /// The right edge of the names.
    names: f64,
    /// The most that a number may take.
    room: f64,
    /// Between these edges the bars are drawn, and these numbers are at them.
    left: f64,
    right: f64,
    low: f64,
    high: f64,
    bar: f64,
    /// From one label to the next.
    pitch: f64,
}

impl Rows {
    fn top(&self, at: usize) -> f64 {
        GAP + self.pitch * at as f64
    }

    fn x(&self, value: f64) -> f64 {
        self.left + (self.right - self.left) * (tamed(value) - self.low) / (self.high - self.low)
    }
}

/// The round numbers of a scale, least first. All that is drawn lies between the ends.
struct Axis(Vec<f64>);

impl Axis {
    /// Four to six numbers around all of `numbers`; fewer where more would read the same.
    fn of(
        numbers: impl Iterator<Item = f64>,
        from_zero: bool,
        format: &dyn Fn(f64) -> String,
    ) -> Self {
        let (low, high) = spread(numbers.chain(from_zero.then_some(0.0)));
        let mut found: Vec<_> = steps(high - low)
            .map(|step| step.around(low, high))
            .filter(|ticks| ticks.len() <= 6)
            .collect();
        match found.iter().position(|ticks| all_differ(ticks, format)) {
            // What is written without its decimals would repeat itself.
            Some(at) if at > 0 => Self(found.swap_remove(at)),
            _ => {
                Self(lengthened(found.into_iter().next().unwrap_or_else(|| vec![low, high]), high))
            }
        }
    }

    /// How far up a number is, from 0 to 1.
    fn share(&self, value: f64) -> f64 {
        match (self.0.first(), self.0.last()) {
            (Some(low), Some(high)) if high > low => (tamed(value) - low) / (high - low),
            _ => 0.0,
        }
    }
}

/// A digit and its power of ten.
struct Step {
    digit: f64,
    power: i32,
}

impl Step {
    /// So many steps from zero. Dividing by a power of ten gives the nearest 0.3; multiplying by a
    /// tenth does not.
    fn times(&self, count: f64) -> f64 {
        let tens = 10_f64.powi(self.power.abs());
        if self.power < 0 { count * self.digit / tens } else { count * self.digit * tens }
    }

    /// The multiples from below `low` to above `high`.
    fn around(&self, low: f64, high: f64) -> Vec<f64> {
        let size = self.times(1.0);
        // 0.3 / 0.1 is less than 3: what is nearly a multiple is one.
        let (first, last) = ((low / size + 1e-9).floor(), (high / size - 1e-9).ceil());
        let count = (last - first).clamp(0.0, 99.0) as u32;
        (0..=count).map(|nth| self.times(first + f64::from(nth))).collect()
    }
}

/// The steps that a scale of this length may have, least first: 1, 2 and 5 times powers of ten.
fn steps(length: f64) -> impl Iterator<Item = Step> {
    let power = length.log10().floor() as i32;
    let each = |power| [1.0, 2.0, 5.0].map(|digit| Step { digit, power });
    (power - 1..=power + 1).flat_map(each)
}

/// At least four ticks: those that are missing are added away from zero.
fn lengthened(mut ticks: Vec<f64>, high: f64) -> Vec<f64> {
    while let ([first, second, ..], true) = (ticks.as_slice(), ticks.len() < 4) {
        let (first, size) = (*first, second - first);
        let last = first + size * (ticks.len() - 1) as f64;
        if high > 0.0 { ticks.push(last + size) } else { ticks.insert(0, first - size) }
    }
    ticks
}

fn all_differ(ticks: &[f64], format: &dyn Fn(f64) -> String) -> bool {
    let texts: Vec<_> = ticks.iter().map(|&tick| format(tick)).collect();
    texts.windows(2).all(|pair| pair[0] != pair[1])
}

/// The least and the greatest number. Where they are the same, the scale begins at zero.
fn spread(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    let ends = (f64::INFINITY, f64::NEG_INFINITY);
    let wider = |(low, high): (f64, f64), value| (low.min(value), high.max(value));
    let (low, high) = numbers.map(tamed).fold(ends, wider);
    if high - low > low.abs().max(high.abs()) * 1e-12 {
        return (low, high);
    }
    // Also of no numbers at all.
    let (low, high) = (if low < 0.0 { low } else { 0.0 }, if high > 0.0 { high } else { 0.0 });
    if low < high { (low, high) } else { (0.0, 1.0) }
}

/// A number that can be reckoned with.
fn tamed(value: f64) -> f64 {
    if value.abs() < SMALLEST { 0.0 } else { value.clamp(-LARGEST, LARGEST) }
}

/// Which of the labels are shown, by where they begin and end: every one, or every second, and so
/// on, with the first always and the last where it does not touch the first.
fn kept(spans: &[(f64, f64)]) -> Vec<usize> {
    let Some(last) = spans.len().checked_sub(1) else { return Vec::new() };
    let apart = |one: usize, other: usize| spans[one].1 + GAP <= spans[other].0;
    let fits =
        |stride: &usize| (0..=last).step_by(*stride).skip(1).all(|at| apart(at - stride, at));
    let least = (1..=last).find(fits).unwrap_or(last + 1);
    // A little sparser is better when it ends at the last.
    let even = (least..=least + least / 2).find(|stride| last % stride == 0 && fits(stride));
    let mut shown: Vec<_> = (0..=last).step_by(even.unwrap_or(least)).collect();
    while let [_, .., before] = shown[..]
        && before != last
        && !apart(before, last)
    {
        shown.pop();
    }
    if shown.last().is_some_and(|&before| before != last && apart(before, last)) {
        shown.push(last);
    }
    shown
}

/// About how wide a text is.
fn breadth(text: &str) -> f64 {
    text.chars().map(|c| if c < '\u{1100}' { LETTER } else { SQUARE }).sum()
}

/// As much of a text as there is room for.
fn fitted(text: &str, room: f64) -> String {
    if breadth(text) <= room {
        return text.to_owned();
    }
    let mut left = room - SQUARE;
    let fits = |c: &char| {
        left -= breadth(c.encode_utf8(&mut [0; 4]));
        left >= 0.0
    };
    let short: String = text.chars().take_while(fits).collect();
    format!("{}…", short.trim_end())
}

/// Markup under construction. What comes from elsewhere goes through `text`.
#[derive(Default)]
struct Markup(String);

impl Markup {
    fn raw(&mut self, markup: &str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
        self
    }

    /// A coordinate, to a tenth. Adding zero turns -0 into 0.
    fn number(&mut self, number: f64) -> &mut Self {
        _ = write!(self.0, "{}", (number * 10.0).round() / 10.0 + 0.0);
        self
    }

    fn label(&mut self, x: f64, y: f64, text: &str) -> &mut Self {
        self.raw("<text x=\"").number(x).raw("\" y=\"").number(y).raw("\">");
        self.text(text).raw("</text>")
    }

    /// A rectangle that is still open, for what it says under the pointer.
    fn bar(&mut self, x: f64, y: f64, width: f64, height: f64) {
        self.raw("<rect x=\"").number(x).raw("\" y=\"").number(y);
        self.raw("\" width=\"").number(width).raw("\" height=\"").number(height).raw("\">");
    }
}

/// FNV-1a, which is the same in every process: what is drawn the same is named the same.
fn hash(texts: &[&str]) -> u64 {
    // No text has the byte that stands between them.
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0xff]));
    let mix = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    bytes.fold(0xcbf2_9ce4_8422_2325, mix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(value: f64) -> String {
        format!("{value}")
    }

    fn whole(value: f64) -> String {
        format!("{value:.0}")
    }

    fn labels(count: usize) -> Vec<String> {
        (0..count).map(|at| format!("L{at}")).collect()
    }

    fn series(name: &str, values: &[Option<f64>]) -> Series {
        Series { name: name.to_owned(), values: values.to_vec() }
    }

    fn some(values: &[f64]) -> Series {
        series("S", &values.iter().copied().map(Some).collect::<Vec<_>>())
    }

    fn drawn(kind: Kind, labels: &[String], series: &[Series]) -> String {
        Chart { title: "T", kind, labels, series, format: &plain }.svg()
    }

    fn axis(values: &[f64], from_zero: bool) -> Vec<f64> {
        Axis::of(values.iter().copied(), from_zero, &plain).0
    }

    /// Every value of an attribute, in order.
    fn all<'a>(svg: &'a str, name: &str) -> Vec<&'a str> {
        let begin = format!(" {name}=\"");
        svg.split(begin.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
    }

    fn numbers(svg: &str, name: &str) -> Vec<f64> {
        all(svg, name).iter().map(|text| text.parse().unwrap()).collect()
    }

    /// Everything that is a coordinate.
    fn coordinates(svg: &str) -> Vec<String> {
        let names = ["x", "y", "cx", "cy", "width", "height", "d", "viewBox"];
        let each = names.iter().flat_map(|name| all(svg, name));
        let is_mark = |c: char| c.is_ascii_uppercase() || c == ' ';
        each.flat_map(|text| text.split(is_mark))
            .filter(|n| !n.is_empty())
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(axis(&[3.0, 97.0], true), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(axis(&[0.07, 0.3], true), [0.0, 0.1, 0.2, 0.3]);
        assert_eq!(axis(&[0.3, 0.7], false), [0.3, 0.4, 0.5, 0.6, 0.7]);
        assert_eq!(axis(&[1012.0, 1019.0], false), [1012.0, 1014.0, 1016.0, 1018.0, 1020.0]);
        assert_eq!(axis(&[-30.0, 12.0], true), [-30.0, -20.0, -10.0, 0.0, 10.0, 20.0]);
        assert_eq!(axis(&[-30.0, -12.0], true), [-30.0, -20.0, -10.0, 0.0]);
        assert_eq!(axis(&[-30.0, -12.0], false), [-30.0, -25.0, -20.0, -15.0, -10.0]);
    }

    #[test]
    fn ticks_of_what_has_no_range_begin_at_zero() {
        assert_eq!(axis(&[5.0], true), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(axis(&[5.0, 5.0], false), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(axis(&[-4.0, -4.0], false), [-4.0, -3.0, -2.0, -1.0, 0.0]);
        assert_eq!(axis(&[0.0, 0.0], true).first(), Some(&0.0));
        assert_eq!(axis(&[], true).last(), Some(&1.0));
        assert_eq!(axis(&[1e15, 1e15 + 0.125], false).first(), Some(&0.0));
    }

    /// A pseudo-random number from 0 to 1.
    fn random(seed: &mut u64) -> f64 {
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 11) as f64 / (1_u64 << 53) as f64
    }

    #[test]
    fn ticks_are_four_to_six_around_all_numbers() {
        let mut seed = 7;
        for _ in 0..20_000 {
            let size = 10_f64.powf(random(&mut seed) * 40.0 - 20.0);
            let shift = random(&mut seed) * 20.0 - 10.0;
            let (a, b) = (size * (random(&mut seed) + shift), size * (random(&mut seed) + shift));
            for from_zero in [true, false] {
                let ticks = axis(&[a, b], from_zero);
                let (low, high) = (ticks[0], ticks[ticks.len() - 1]);
                let slack = (high - low) * 1e-6;
                assert!((4..=6).contains(&ticks.len()), "{a} {b} {ticks:?}");
                assert!(low <= a.min(b) + slack && high >= a.max(b) - slack, "{a} {b} {ticks:?}");
                assert!(ticks.windows(2).all(|pair| pair[0] < pair[1]), "{a} {b} {ticks:?}");
                assert!(!from_zero || ticks.contains(&0.0), "{a} {b} {ticks:?}");
            }
        }
    }

    #[test]
    fn ticks_do_not_read_the_same() {
        let ticks = |values: &[f64]| Axis::of(values.iter().copied(), true, &whole).0;
        assert_eq!(ticks(&[1.0]), [0.0, 1.0]);
        assert_eq!(ticks(&[2.0, 1.0]), [0.0, 1.0, 2.0]);
        assert_eq!(ticks(&[0.4]), [0.0, 1.0]);
        // Nothing helps: it still ends.
        assert!(Axis::of([3.0].into_iter(), true, &|_| "same".to_owned()).0.len() >= 4);
    }

    #[test]
    fn texts_are_escaped() {
        let labels = ["<b>\"L\"".to_owned(), "a & b".to_owned()];
        let series =
            [series("</title><script>", &[Some(1.0), Some(2.0)]), series("'x'", &[None, None])];
        for kind in [Kind::Bars, Kind::Lines, Kind::Shares] {
            let chart = Chart {
                title: "<i>&",
                kind,
                labels: &labels,
                series: &series,
                format: &|value| format!("<{value}>"),
            };
            let svg = chart.svg() + &chart.legend();
            for foreign in ["<b", "<script", "<i>", "a & b", "<1", "'x'"] {
                assert!(!svg.contains(foreign), "{foreign}: {svg}");
            }
            let hint =
                "<title>&lt;b&gt;&quot;L&quot;: &lt;/title&gt;&lt;script&gt; &lt;1&gt;</title>";
            assert!(svg.contains(hint), "{svg}");
            assert!(svg.contains("&lt;i&gt;&amp;</title>"), "{svg}");
            assert!(svg.contains("&#39;x&#39;"), "{svg}");
        }
    }

    #[test]
    fn labels_that_would_touch_are_left_out() {
        let spans = |count: usize, pitch: f64, width: f64| -> Vec<_> {
            (0..count).map(|at| (at as f64 * pitch, at as f64 * pitch + width)).collect()
        };
        assert_eq!(kept(&[]), [0; 0]);
        assert_eq!(kept(&spans(1, 9.0, 90.0)), [0]);
        assert_eq!(kept(&spans(2, 9.0, 90.0)), [0]);
        assert_eq!(kept(&spans(4, 20.0, 12.0)), [0, 1, 2, 3]);
        assert_eq!(kept(&spans(4, 20.0, 13.0)), [0, 3]);
        assert_eq!(kept(&spans(5, 20.0, 13.0)), [0, 2, 4]);
        assert_eq!(kept(&spans(31, 18.0, 60.0)), [0, 5, 10, 15, 20, 25, 30]);
        assert_eq!(kept(&spans(12, 10.0, 40.0)), [0, 5, 11]);
    }

    #[test]
    fn labels_never_touch_each_other_or_leave_the_chart() {
        let mut seed = 3;
        for count in (1..60).chain([365, 1000]) {
            let long = |_| "m".repeat((random(&mut seed) * random(&mut seed) * 30.0) as usize + 1);
            let texts: Vec<_> = (0..count).map(long).collect();
            for kind in [Kind::Bars, Kind::Lines] {
                let chart = Chart {
                    title: "T",
                    kind,
                    labels: &texts,
                    series: &[some(&vec![1.0; count])],
                    format: &plain,
                };
                for (svg, width) in [(chart.svg(), WIDE), (chart.narrow(), NARROW)] {
                    let below = svg.split("text-anchor=\"middle\">").nth(1).unwrap();
                    let below = below.split("</g>").next().unwrap();
                    let texts = below.split("</text>").filter_map(|text| text.split('>').nth(1));
                    let spans = texts.zip(numbers(below, "x"));
                    let spans: Vec<_> = spans
                        .map(|(text, x)| (x - breadth(text) / 2.0, x + breadth(text) / 2.0))
                        .collect();
                    assert!(!spans.is_empty() && spans[0].0 >= -0.1, "{spans:?}");
                    assert!(spans.iter().all(|span| span.1 <= width + 0.1), "{spans:?}");
                    assert!(spans.windows(2).all(|pair| pair[0].1 < pair[1].0), "{spans:?}");
                }
            }
        }
    }

    #[test]
    fn labels_are_cut_where_that_shows_all_of_them() {
        let below = |count, text: &str| {
            let svg = drawn(Kind::Bars, &vec![text.to_owned(); count], &[some(&[1.0])]);
            let below = svg.split("text-anchor=\"middle\">").nth(1).unwrap();
            let below = below.split("</g>").next().unwrap();
            (below.matches("</text>").count(), below.matches("…</text>").count())
        };
        assert_eq!(below(6, "Waiting for the customer"), (6, 6));
        assert_eq!(below(12, "2025-01-01 12:00"), (4, 0));
        assert_eq!(below(12, "May"), (12, 0));
    }

    #[test]
    fn the_first_and_the_last_label_stay() {
        for count in 2..400 {
            let svg = drawn(Kind::Lines, &labels(count), &[some(&vec![1.0; count])]);
            assert!(svg.contains(">L0</text>"), "{count}");
            assert!(svg.contains(&format!(">L{}</text>", count - 1)), "{count}");
        }
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(fitted("short", 40.0), "short");
        assert_eq!(fitted("rather long", 50.0), "rather…");
        assert_eq!(fitted("漢字漢字", 44.0), "漢字漢字");
        assert_eq!(fitted("漢字漢字", 43.0), "漢字…");
        assert_eq!(fitted("anything", 0.0), "…");
        let name =
            "A name that is so long that no chart has the room to write it whole in its margin";
        let svg = drawn(Kind::Shares, &[name.to_owned()], &[some(&[1.0])]);
        assert!(svg.contains(&format!("…<title>{name}</title></text>")), "{svg}");
    }

    #[test]
    fn lines_break_where_a_number_is_missing() {
        let values = [
            Some(1.0),
            Some(2.0),
            None,
            Some(4.0),
            Some(f64::NAN),
            Some(5.0),
            Some(6.0),
            Some(7.0),
        ];
        let svg = drawn(Kind::Lines, &labels(8), &[series("S", &values)]);
        let line = svg.split("class=\"line\" d=\"").nth(1).unwrap().split('"').next().unwrap();
        let pieces: Vec<_> =
            line.split('M').skip(1).map(|piece| piece.matches('L').count()).collect();
        assert_eq!(pieces, [1, 2]);
        assert_eq!(svg.matches("<circle").count(), 6);
        // What no line leads to is seen for itself.
        assert_eq!(svg.matches("data-alone><title>L3: S 4<").count(), 1);
        assert_eq!(svg.matches("data-alone").count(), 1);
    }

    #[test]
    fn only_close_points_hide() {
        let drawn = |count| drawn(Kind::Lines, &labels(count), &[some(&vec![1.0; count])]);
        assert!(!drawn(12).contains("data-dense"));
        assert!(drawn(365).contains("data-dense"));
    }

    #[test]
    fn columns_stand_on_zero() {
        let svg = drawn(Kind::Bars, &labels(3), &[some(&[10.0, -5.0, 0.0])]);
        let base = svg.split("class=\"base\" d=\"M").nth(1).unwrap();
        let base: f64 = base.split([' ', 'H']).nth(1).unwrap().parse().unwrap();
        let (ys, heights) = (numbers(&svg, "y"), numbers(&svg, "height"));
        let ys = &ys[ys.len() - 3..];
        assert!((ys[0] + heights[0] - base).abs() < 0.11, "{svg}");
        assert!((ys[1] - base).abs() < 0.11, "{svg}");
        assert!((heights[0] - 2.0 * heights[1]).abs() < 0.21, "{svg}");
        // Zero is not the same as nothing.
        assert_eq!(heights[2], 1.0);
    }

    #[test]
    fn shares_go_both_ways_from_zero() {
        let svg = drawn(Kind::Shares, &labels(2), &[some(&[-20.0, 40.0])]);
        let bars: Vec<_> = svg.split("<rect").skip(1).collect();
        let (left, right) = (numbers(bars[0], "x")[0], numbers(bars[1], "x")[0]);
        let (less, more) = (numbers(bars[0], "width")[0], numbers(bars[1], "width")[0]);
        assert!((left + less - right).abs() < 0.11 && (more - 2.0 * less).abs() < 0.21, "{svg}");
        assert!(bars[0].contains("text-anchor=\"end\""), "{svg}");
        assert!(
            bars[1].contains("text-anchor=\"start\"") && bars[1].contains(">40</text>"),
            "{svg}"
        );
    }

    #[test]
    fn what_is_hardly_anything_can_be_seen() {
        for (kind, size) in [(Kind::Bars, "height"), (Kind::Shares, "width")] {
            let svg = drawn(kind, &labels(4), &[some(&[1e9, 1.0, 0.0, -1.0])]);
            assert_eq!(numbers(&svg, size)[1..], [1.0; 3], "{svg}");
        }
    }

    #[test]
    fn coordinates_are_short() {
        let number = |number| Markup::default().number(number).0.clone();
        assert_eq!(
            [12.34, 12.35, 12.0, -0.04, -0.06].map(number),
            ["12.3", "12.4", "12", "0", "-0.1"]
        );
    }

    #[test]
    fn a_narrow_chart_says_that_it_is() {
        let labels = labels(1);
        let (series, kind) = ([some(&[1.0])], Kind::Bars);
        let chart = Chart { title: "T", kind, labels: &labels, series: &series, format: &plain };
        let begin = "<svg class=\"chart\" data-kind=\"bars\"";
        assert!(chart.svg().starts_with(&format!("{begin} viewBox=\"0 0 640 240\" role=\"img\"")));
        assert!(
            chart.narrow().starts_with(&format!("{begin} data-narrow viewBox=\"0 0 340 240\""))
        );
    }

    #[test]
    fn marks_do_not_leave_the_chart() {
        for kind in [Kind::Bars, Kind::Lines, Kind::Shares] {
            for values in [[1.0, 2.0, 3.0], [-1.0, -2.0, -3.0], [-1e9, 0.0, 1e9], [0.0, 0.0, 0.0]] {
                let svg = drawn(kind, &labels(3), &[some(&values), some(&values)]);
                let size = all(&svg, "viewBox")[0].to_owned();
                let size: Vec<f64> = size.split(' ').map(|n| n.parse().unwrap()).collect();
                let within = |n: &f64, most| (0.0..=most).contains(n);
                assert!(
                    ["x", "cx"].iter().all(|n| numbers(&svg, n).iter().all(|x| within(x, size[2])))
                );
                assert!(
                    ["y", "cy"].iter().all(|n| numbers(&svg, n).iter().all(|y| within(y, size[3])))
                );
            }
        }
    }

    #[test]
    fn any_number_gives_plain_coordinates() {
        let odd = [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
            5e-324,
            -0.0,
            0.1 + 0.2,
            1e21,
            -1e-7,
        ];
        for kind in [Kind::Bars, Kind::Lines, Kind::Shares] {
            for (a, b) in odd.iter().flat_map(|a| odd.iter().map(move |b| (*a, *b))) {
                let series = [some(&[a, b, a])];
                let labels = labels(3);
                let chart =
                    Chart { title: "T", kind, labels: &labels, series: &series, format: &plain };
                for svg in [chart.svg(), chart.narrow()] {
                    for number in coordinates(&svg) {
                        let plain =
                            number.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '-');
                        let places = number.split_once('.').map_or(0, |(_, places)| places.len());
                        assert!(
                            plain && places <= 1 && number.len() <= 6,
                            "{number}: {a} {b} {svg}"
                        );
                    }
                    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{a} {b} {svg}");
                }
            }
        }
    }

    #[test]
    fn what_has_no_numbers_says_so() {
        let none = [series("S", &[None, Some(f64::NAN)])];
        for kind in [Kind::Bars, Kind::Lines, Kind::Shares] {
            let empties = [
                drawn(kind, &[], &[]),
                drawn(kind, &labels(3), &[]),
                drawn(kind, &[], &[some(&[1.0])]),
                drawn(kind, &labels(2), &none),
            ];
            for svg in empties {
                assert!(svg.contains(">No numbers</text>"), "{svg}");
                assert!(!svg.contains("<rect") && !svg.contains("<circle"), "{svg}");
            }
        }
    }

    #[test]
    fn more_or_fewer_numbers_than_labels_are_fine() {
        let svg = drawn(Kind::Bars, &labels(2), &[some(&[1.0]), some(&[1.0, 2.0, 300.0])]);
        assert_eq!(svg.matches("<rect").count(), 3);
        assert!(!svg.contains("300"), "{svg}");
    }

    #[test]
    fn only_eight_series_are_drawn() {
        let series = vec![some(&[1.0]); 9];
        let labels = labels(1);
        let chart = Chart {
            title: "T",
            kind: Kind::Lines,
            labels: &labels,
            series: &series,
            format: &plain,
        };
        assert!(chart.svg().contains("class=\"s8\"") && !chart.svg().contains("s9"));
        assert_eq!(chart.svg().matches("<circle").count(), 8);
        assert_eq!(chart.legend().matches("<li>").count(), 8);
    }

    #[test]
    fn one_series_needs_no_legend() {
        fn legend(series: &[Series]) -> String {
            let (title, kind, labels) = ("T", Kind::Bars, &[]);
            Chart { title, kind, labels, series, format: &plain }.legend()
        }
        assert_eq!(legend(&[]), "");
        assert_eq!(legend(&[some(&[])]), "");
        let legend = legend(&[series("A", &[]), series("B", &[])]);
        assert!(legend.starts_with("<ul class=\"legend\" role=\"list\"><li>"), "{legend}");
        assert!(
            legend.contains("class=\"swatch s2\"") && legend.contains("</svg>B</li>"),
            "{legend}"
        );
    }

    #[test]
    fn each_chart_has_a_name_of_its_own() {
        let labels = labels(1);
        let chart = |title: &str, value: f64, format: &dyn Fn(f64) -> String| {
            let chart = Chart {
                title,
                kind: Kind::Bars,
                labels: &labels,
                series: &[some(&[value])],
                format,
            };
            [chart.svg(), chart.narrow()].map(|svg| all(&svg, "aria-labelledby")[0].to_owned())
        };
        assert_eq!(chart("A", 1.0, &plain), chart("A", 1.0, &plain));
        let mut names: Vec<_> = [
            chart("A", 1.0, &plain),
            chart("B", 1.0, &plain),
            chart("A", 2.0, &plain),
            chart("A", 1.0, &|value| format!("{value} €")),
        ]
        .concat();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 8);
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));

        let svg = drawn(Kind::Bars, &labels, &[some(&[1.0])]);
        let names: Vec<_> = all(&svg, "aria-labelledby")[0].split(' ').map(str::to_owned).collect();
        assert_eq!(all(&svg, "id"), names);
    }

    #[test]
    fn the_numbers_are_heard() {
        let told = |count: usize, values: &[f64]| {
            let labels = labels(count);
            let series = [some(values), series("N", &[])];
            let kind = Kind::Lines;
            Chart { title: "T", kind, labels: &labels, series: &series, format: &plain }
                .description()
        };
        assert_eq!(
            told(2, &[1.0, f64::NAN]),
            "Lines for 2 labels, from L0 to L1. S: L0 1. N: no numbers."
        );
        let many: Vec<_> = (0..20).map(|at| f64::from((at % 7) - 3)).collect();
        assert_eq!(
            told(20, &many),
            "Lines for 20 labels, from L0 to L19. S: lowest L0 -3, highest L6 3. N: no numbers."
        );
    }

    #[test]
    fn nothing_is_styled_in_the_markup() {
        for kind in [Kind::Bars, Kind::Lines, Kind::Shares] {
            let labels = labels(3);
            let series = [some(&[1.0, 2.0, 3.0]), some(&[3.0, -2.0, 1.0])];
            let chart =
                Chart { title: "T", kind, labels: &labels, series: &series, format: &plain };
            let html = chart.svg() + &chart.narrow() + &chart.legend();
            for styled in ["style", "fill=", "stroke=", "<script", " on", "href"] {
                assert!(!html.contains(styled), "{styled}: {html}");
            }
            assert_eq!(html.matches('<').count(), html.matches('>').count());
        }
    }
}
