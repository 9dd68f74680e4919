//! A chart with logarithmic axes, as SVG that is readable on light and dark pages, and as CSV.

use std::collections::BTreeMap;
use std::fmt;

use crate::common::median;

/// The size of the picture and of the margins around the plot, in pixels. The names of the lines are in the right margin.
const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 430.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 210.0;
const TOP: f64 = 46.0;
const BOTTOM: f64 = 56.0;

/// The least distance between two names of lines.
const NAME_DISTANCE: f64 = 17.0;

/// The least distance between two labels of the x axis.
const X_LABEL_DISTANCE: f64 = 44.0;

/// Colours of text, grid and lines. The floor is grey.
const STYLE: &str = "\
text{fill:#1f2328;font:13px system-ui,sans-serif}.title{font-weight:600;font-size:14px}\
.grid{stroke:#1f2328;stroke-opacity:.15}.line{fill:none;stroke-width:2}.bar{stroke-opacity:.5}\
.emulator{stroke:#0969da}.floor{stroke:#6e7781}.dashed{stroke-dasharray:6 4}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.grid{stroke:#e6edf3}.emulator{stroke:#4493f8}.floor{stroke:#9198a1}}";

/// The ends of the names of dashed lines.
const DASHED: [&str; 2] = ["p99", "joining a group"];

/// Several lines over the same x axis. Values are times in microseconds.
pub(crate) struct Chart {
    /// The name in file names and in the table.
    pub(crate) name: &'static str,
    title: String,
    x_axis: &'static str,
    x_label: fn(usize) -> String,
    /// By name, which begins with that of the target. Each point has one value per run.
    lines: BTreeMap<String, BTreeMap<usize, Vec<f64>>>,
}

impl Chart {
    pub(crate) fn new(name: &'static str, title: String, x_axis: &'static str, x_label: fn(usize) -> String) -> Self {
        Self { name, title, x_axis, x_label, lines: BTreeMap::new() }
    }

    /// Adds the value of one run.
    pub(crate) fn add(&mut self, line: &str, x: usize, value: f64) {
        self.lines.entry(line.to_owned()).or_default().entry(x).or_default().push(value);
    }

    /// Rows with the name of the chart, line, x, median, smallest and largest value. Names of lines contain commas, so they are quoted.
    pub(crate) fn to_csv(&self) -> String {
        let points =
            self.lines.iter().flat_map(|(line, points)| points.iter().map(move |(x, values)| (line, x, values)));
        points.fold(String::new(), |rows, (line, x, values)| {
            let (smallest, largest) = range(values);
            format!("{rows}{},\"{line}\",{x},{:.1},{smallest:.1},{largest:.1}\n", self.name, median(values))
        })
    }
}

fn range(values: &[f64]) -> (f64, f64) {
    (values.iter().copied().fold(f64::INFINITY, f64::min), values.iter().copied().fold(0.0, f64::max))
}

/// Maps values to pixels: the logarithm of `from` is at pixel `at`, that of `to` at `at + length`.
struct Axis {
    from: f64,
    to: f64,
    at: f64,
    length: f64,
}

impl Axis {
    fn place(&self, value: f64) -> f64 {
        let share = (value / self.from).ln() / (self.to / self.from).ln();
        self.at + share * self.length
    }
}

impl fmt::Display for Chart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = || self.lines.values().flatten();
        let (left, right) = range(&all().map(|(&x, _)| x as f64).collect::<Vec<_>>());
        let (lowest, highest) = range(&all().flat_map(|(_, values)| values).copied().collect::<Vec<_>>());
        let x = Axis { from: left, to: right, at: LEFT, length: WIDTH - LEFT - RIGHT };
        let height = HEIGHT - TOP - BOTTOM;
        let y = Axis { from: lowest / 1.2, to: highest * 1.2, at: HEIGHT - BOTTOM, length: -height };

        write!(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">")?;
        writeln!(f, "<title>{}</title><style>{STYLE}</style>", self.title)?;
        writeln!(f, "<text class=\"title\" x=\"{LEFT}\" y=\"22\">{}</text>", self.title)?;
        self.write_axes(f, &x, &y)?;
        for (name, points) in &self.lines {
            write_line(f, name, points, &x, &y)?;
        }
        self.write_names(f, &x, &y)?;
        f.write_str("</svg>\n")
    }
}

impl Chart {
    fn write_axes(&self, f: &mut fmt::Formatter<'_>, x: &Axis, y: &Axis) -> fmt::Result {
        let (bottom, right) = (y.at, x.at + x.length);
        // Over a small range, the axis has more ticks than the powers of ten.
        let steps: &[f64] = if y.to / y.from < 100.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let ticks = (0..9).flat_map(|exponent| steps.iter().map(move |step| step * 10_f64.powi(exponent)));
        for tick in ticks.filter(|tick| (y.from..=y.to).contains(tick)) {
            let at = y.place(tick);
            writeln!(f, "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right:.1}\"/>")?;
            writeln!(f, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>", LEFT - 8.0, at + 4.0, time(tick))?;
        }
        let mut last = f64::NEG_INFINITY;
        for &value in self.lines.values().next().into_iter().flat_map(BTreeMap::keys) {
            let at = x.place(value as f64);
            writeln!(f, "<path class=\"grid\" d=\"M{at:.1} {bottom:.1}V{TOP}\"/>")?;
            if at - last >= X_LABEL_DISTANCE {
                last = at;
                let label = (self.x_label)(value);
                writeln!(f, "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>", bottom + 18.0)?;
            }
        }
        let middle = x.at + x.length / 2.0;
        writeln!(f, "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>", bottom + 40.0, self.x_axis)
    }

    /// Writes each name beside the end of its line, and moves names apart that would overlap.
    fn write_names(&self, f: &mut fmt::Formatter<'_>, x: &Axis, y: &Axis) -> fmt::Result {
        let ends =
            self.lines.iter().filter_map(|(name, points)| Some((y.place(median(points.values().next_back()?)), name)));
        let mut ends: Vec<_> = ends.collect();
        ends.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let mut last = f64::NEG_INFINITY;
        for (at, name) in ends {
            last = at.max(last + NAME_DISTANCE);
            writeln!(f, "<text x=\"{:.1}\" y=\"{:.1}\">{name}</text>", x.at + x.length + 10.0, last + 4.0)?;
        }
        Ok(())
    }
}

/// Writes a line through the medians, with a bar from the smallest to the largest value of each point.
fn write_line(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    points: &BTreeMap<usize, Vec<f64>>,
    x: &Axis,
    y: &Axis,
) -> fmt::Result {
    let target = name.split(',').next().unwrap_or_default();
    let dashed = if DASHED.iter().any(|end| name.ends_with(end)) { " dashed" } else { "" };
    let places: Vec<_> = points.iter().map(|(&at, values)| (x.place(at as f64), values)).collect();
    let corners: Vec<_> = places.iter().map(|(at, values)| format!("{at:.1},{:.1}", y.place(median(values)))).collect();
    writeln!(f, "<polyline class=\"line {target}{dashed}\" points=\"{}\"/>", corners.join(" "))?;
    for (at, values) in places {
        let (smallest, largest) = range(values);
        writeln!(f, "<path class=\"bar {target}\" d=\"M{at:.1} {:.1}V{:.1}\"/>", y.place(smallest), y.place(largest))?;
    }
    Ok(())
}

/// A time with its unit.
fn time(us: f64) -> String {
    if us < 1e3 {
        format!("{us} µs")
    } else if us < 1e6 {
        format!("{} ms", us / 1e3)
    } else {
        format!("{} s", us / 1e6)
    }
}
