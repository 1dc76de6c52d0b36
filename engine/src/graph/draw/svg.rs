//! SVG by a small layered layout: rows by longest path, order within a row by the mean of the neighbours, long arrows
//! led through every row that they cross.

use super::{Arrow, arrows, sections};
use crate::graph::{BodyGraph, NodeInfo, WorkflowGraph};

const ROW_GAP: f64 = 44.0;
const GAP: f64 = 24.0;
const NODE_HEIGHT: f64 = 44.0;
const PADDING: f64 = 16.0;
const TITLE: f64 = 26.0;
/// The width of a letter of the label, on the safe side.
const LETTER: f64 = 7.6;

const STYLE: &str = "\
text{font:13px ui-sans-serif,system-ui,sans-serif;fill:#1f2933}\
.kind{font-size:11px;fill:#62707d}.port{font-size:11px;fill:#3b5bdb}\
.node{fill:#fff;stroke:#8593a0}.box{fill:#f4f6f8;stroke:#b5bfc9}\
.arrow{fill:none;stroke:#62707d;stroke-width:1.3;marker-end:url(#tip)}.orders{stroke-dasharray:4 3}\
.halo{paint-order:stroke;stroke:#fff;stroke-width:4px}";

/// A picture that stands alone.
pub fn svg(graph: &WorkflowGraph) -> String {
    let placed: Vec<_> = sections(graph).map(|(title, body)| (title, Layout::of(body))).collect();
    let width = placed.iter().map(|(title, layout)| layout.width + frame(*title)).fold(0.0, f64::max) + 2.0 * PADDING;
    let mut content = String::new();
    let mut y = PADDING;
    for (title, layout) in placed {
        let x = (width - layout.width) / 2.0;
        if let Some(title) = title {
            let box_height = layout.height + TITLE + PADDING;
            content.push_str(&container(x - PADDING, y, layout.width + 2.0 * PADDING, box_height, title, ""));
            layout.draw(&mut content, x, y + TITLE);
            y += box_height + PADDING;
        } else {
            layout.draw(&mut content, x, y);
            y += layout.height + PADDING;
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {y:.0}\" width=\"{width:.0}\" height=\"{y:.0}\">\n\
         <style>{STYLE}</style>\n<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" \
         markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0 8 4 0 8z\" fill=\"#62707d\"/></marker></defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{content}</svg>\n"
    )
}

fn frame(title: Option<&str>) -> f64 {
    if title.is_some() { 2.0 * PADDING } else { 0.0 }
}

/// A body with a place for each node.
struct Layout<'a> {
    width: f64,
    height: f64,
    places: Vec<Place<'a>>,
    arrows: Vec<(Arrow, Vec<usize>)>,
    nodes: &'a [NodeInfo],
}

/// Where a node stands, or where a long arrow crosses a row.
struct Place<'a> {
    row: usize,
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    inner: Option<Layout<'a>>,
}

impl<'a> Layout<'a> {
    fn of(body: &'a BodyGraph) -> Self {
        let arrows = arrows(body);
        let rows = rows(body.nodes.len(), &arrows);
        let mut places: Vec<_> = body.nodes.iter().zip(&rows).map(|(node, row)| Place::of(node, *row)).collect();
        let arrows = arrows.into_iter().map(|arrow| bends(arrow, &mut places)).collect();
        let mut layout = Self { width: 0.0, height: 0.0, places, arrows, nodes: &body.nodes };
        layout.place();
        layout
    }

    fn place(&mut self) {
        let count = self.places.iter().map(|place| place.row + 1).max().unwrap_or(0);
        let mut rows = vec![Vec::new(); count];
        for (i, place) in self.places.iter().enumerate() {
            rows[place.row].push(i);
        }
        self.order(&mut rows);
        let row_width = |row: &[usize], places: &[Place]| {
            row.iter().map(|i| places[*i].width).sum::<f64>() + GAP * row.len().saturating_sub(1) as f64
        };
        self.width = rows.iter().map(|row| row_width(row, &self.places)).fold(0.0, f64::max);
        let mut y = 0.0;
        for row in &rows {
            let height = row.iter().map(|i| self.places[*i].height).fold(0.0, f64::max);
            let mut x = (self.width - row_width(row, &self.places)) / 2.0;
            for i in row {
                let place = &mut self.places[*i];
                if place.is_bend() {
                    place.height = height;
                }
                (place.x, place.y) = (x, y + (height - place.height) / 2.0);
                x += place.width + GAP;
            }
            y += height + ROW_GAP;
        }
        self.height = (y - ROW_GAP).max(0.0);
    }

    /// A few sweeps down and up, each sorting a row by the mean position of its neighbours.
    fn order(&self, rows: &mut [Vec<usize>]) {
        let mut above = vec![Vec::new(); self.places.len()];
        let mut below = vec![Vec::new(); self.places.len()];
        for (arrow, bends) in &self.arrows {
            let way: Vec<usize> = std::iter::once(arrow.from).chain(bends.iter().copied()).chain([arrow.to]).collect();
            for pair in way.windows(2) {
                below[pair[0]].push(pair[1]);
                above[pair[1]].push(pair[0]);
            }
        }
        for sweep in 0..4 {
            let neighbours = if sweep % 2 == 0 { &above } else { &below };
            let mut position = vec![0.0; self.places.len()];
            for row in rows.iter() {
                for (i, place) in row.iter().enumerate() {
                    position[*place] = (i as f64 + 0.5) / row.len() as f64;
                }
            }
            for row in rows.iter_mut() {
                let mean = |place: &usize| {
                    let near = &neighbours[*place];
                    if near.is_empty() {
                        return position[*place];
                    }
                    near.iter().map(|other| position[*other]).sum::<f64>() / near.len() as f64
                };
                row.sort_by(|a, b| mean(a).total_cmp(&mean(b)));
            }
        }
    }

    fn draw(&self, text: &mut String, x: f64, y: f64) {
        for (node, place) in self.nodes.iter().zip(&self.places) {
            let (left, top) = (x + place.x, y + place.y);
            match &place.inner {
                Some(inner) => {
                    text.push_str(&container(left, top, place.width, place.height, &node.id, &node.kind));
                    inner.draw(text, left + (place.width - inner.width) / 2.0, top + TITLE + PADDING / 2.0);
                }
                None => text.push_str(&simple(left, top, place.width, node)),
            }
        }
        for (arrow, bends) in &self.arrows {
            text.push_str(&self.line(arrow, bends, x, y));
        }
    }

    fn line(&self, arrow: &Arrow, bends: &[usize], x: f64, y: f64) -> String {
        let start = &self.places[arrow.from];
        let end = &self.places[arrow.to];
        let (mut at_x, mut at_y) = (x + start.x + start.width / 2.0, y + start.y + start.height);
        let (label_x, label_y) = (at_x, at_y);
        let mut path = format!("M{at_x:.1} {at_y:.1}");
        // Straight down through each row that it crosses, curved between the rows.
        let through = bends.iter().map(|bend| &self.places[*bend]).map(|place| (place.x, place.y, place.height));
        let mut first = None;
        for (to_x, to_y, down) in through.chain([(end.x + end.width / 2.0, end.y - 2.0, 0.0)]) {
            let (to_x, to_y) = (x + to_x, y + to_y);
            let half = (to_y - at_y) / 2.0;
            path.push_str(&format!("C{at_x:.1} {:.1} {to_x:.1} {:.1} {to_x:.1} {to_y:.1}", at_y + half, to_y - half));
            first.get_or_insert((to_x, to_y));
            if down > 0.0 {
                path.push_str(&format!("v{down:.1}"));
            }
            (at_x, at_y) = (to_x, to_y + down);
        }
        let class = if arrow.decides { "arrow" } else { "arrow orders" };
        let label = first.filter(|_| !arrow.label.is_empty()).map_or_else(String::new, |(to_x, to_y)| {
            let (middle_x, middle_y) = (f64::midpoint(label_x, to_x), f64::midpoint(label_y, to_y) + 4.0);
            format!(
                "<text class=\"port halo\" x=\"{middle_x:.1}\" y=\"{middle_y:.1}\" text-anchor=\"middle\">{}</text>\n",
                escape(&arrow.label)
            )
        });
        format!("<path class=\"{class}\" d=\"{path}\"/>\n{label}")
    }
}

impl<'a> Place<'a> {
    fn of(node: &'a NodeInfo, row: usize) -> Self {
        let letters = node.id.chars().count().max(node.kind.chars().count());
        let width = letters as f64 * LETTER + 2.0 * PADDING;
        let Some(body) = &node.body else {
            return Self { row, x: 0.0, y: 0.0, width, height: NODE_HEIGHT, inner: None };
        };
        let inner = Layout::of(body);
        let title = (node.id.chars().count() + node.kind.chars().count() + 3) as f64 * LETTER + 2.0 * PADDING;
        let (width, height) = ((inner.width + 2.0 * PADDING).max(title), inner.height + TITLE + 1.5 * PADDING);
        Self { row, x: 0.0, y: 0.0, width, height, inner: Some(inner) }
    }
}

impl Place<'_> {
    /// Whether this is no node, but a long arrow that crosses a row.
    fn is_bend(&self) -> bool {
        self.width == 0.0
    }
}

/// The row of each node: one more than the lowest of those before it. Nodes of a cycle stay where they are.
fn rows(count: usize, arrows: &[Arrow]) -> Vec<usize> {
    let mut rows = vec![0; count];
    for _ in 0..count {
        let mut moved = false;
        for arrow in arrows {
            if rows[arrow.to] <= rows[arrow.from] && rows[arrow.from] + 1 < count {
                rows[arrow.to] = rows[arrow.from] + 1;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    rows
}

/// Gives an arrow a place in every row between its ends.
fn bends(arrow: Arrow, places: &mut Vec<Place>) -> (Arrow, Vec<usize>) {
    let between = places[arrow.from].row + 1..places[arrow.to].row;
    let bends = between
        .map(|row| {
            places.push(Place { row, x: 0.0, y: 0.0, width: 0.0, height: 0.0, inner: None });
            places.len() - 1
        })
        .collect();
    (arrow, bends)
}

fn simple(x: f64, y: f64, width: f64, node: &NodeInfo) -> String {
    let middle = x + width / 2.0;
    format!(
        "<rect class=\"node\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{NODE_HEIGHT}\" rx=\"7\"/>\n\
         <text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
         <text class=\"kind\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
        y + 19.0,
        escape(&node.id),
        y + 35.0,
        escape(&node.kind)
    )
}

fn container(x: f64, y: f64, width: f64, height: f64, title: &str, kind: &str) -> String {
    format!(
        "<rect class=\"box\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"9\"/>\n\
         <text x=\"{:.1}\" y=\"{:.1}\">{} <tspan class=\"kind\">{}</tspan></text>\n",
        x + 12.0,
        y + 18.0,
        escape(title),
        escape(kind)
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
