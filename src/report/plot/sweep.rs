//! The pictures of a sweep: `curves.png`, a panel for each learning rate and batch size, and `heatmap.png`, a map for each variant.

use plotters::chart::{ChartBuilder, LabelAreaPosition};
use plotters::element::{Polygon, Rectangle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, FontTransform, RGBColor, TRANSPARENT, TextStyle, WHITE};

use super::axis::Axis;
use super::panel::{PALETTE, Series, draw_legend};
use super::picture::{
    self, Area, Drawn, FRAME, FULL, GRID, HEADER, INK, MARGIN, PIXEL, Stroke, caption, draw_title, fitted,
    heading, text, words,
};
use crate::report::sweep::{Seeds, at_the_end, count};
use crate::report::{OverSeeds, SweepCell, SweepReport, short};
use crate::{CellStatus, Result};

/// Between two panels or two maps.
const GAP: i32 = 260;
/// For the names of ticks at the left.
const LEFT: i32 = 860;
/// For the names of ticks and of the axis below.
const BELOW: i32 = 520;
/// For a panel's title, or a map's.
const ABOVE: i32 = 260;
/// For what a panel says of cells that diverged.
const REMARK: i32 = 190;
/// For a recipe's name.
const NAME: i32 = 380;
/// The height of the legend.
const LEGEND: i32 = 420;

/// Draws test accuracies over epochs: for each recipe a grid of panels, learning rates from top to bottom and batch sizes from left to
/// right. Each variant has a curve, the mean over its seeds, in a band from the least to the greatest.
///
/// # Errors
/// If the drawing fails, for which there is no known cause.
pub fn draw_sweep_curves(run: &SweepReport) -> Result<Vec<u8>> {
    let grids: Vec<Grid> = Grid::of_recipes(run);
    let columns = grids.iter().map(|grid| grid.batch_sizes.len()).max().unwrap_or(1) as i32;
    let width = ((FULL - 2 * MARGIN - LEFT) / columns - GAP).clamp(1500, 5600);
    let height = (width * 5 / 8).max(1250);
    let has_remarks = count(run.cells, CellStatus::Diverged) > 0;
    let above = if has_remarks { ABOVE + REMARK } else { ABOVE };
    let row = above + height + GAP;
    let tall = |grid: &Grid| NAME + row * grid.lrs.len() as i32 + BELOW;
    let full = (2 * MARGIN + LEFT + (width + GAP) * columns).max(8000);
    let all = MARGIN + HEADER + LEGEND + grids.iter().map(tall).sum::<i32>();
    let of = if has_seeds(run) { "mean (curve) and range (band) of " } else { "" };
    let picture = picture::render((full / PIXEL) as u32, (all / PIXEL) as u32, |area| {
        draw_title(area, &format!("Test accuracy over epochs\n{of}{}", run.setting))?;
        let legend = grids.iter().flat_map(|grid| &grid.variants).fold(Vec::new(), |mut names, name| {
            if !names.contains(name) {
                names.push(name);
            }
            names
        });
        let all = legend.len();
        let legend =
            legend.into_iter().enumerate().map(|(i, name)| curve(i, all, name, Vec::new())).collect();
        draw_legend(&area.clone().shrink((MARGIN, MARGIN + HEADER - 300), (full, LEGEND)), &[legend])?;
        let mut top = MARGIN + HEADER + LEGEND;
        for grid in &grids {
            area.draw_text(grid.recipe, &heading(), (MARGIN, top))?;
            for (i, lr) in (0..).zip(&grid.lrs) {
                for (j, batch_size) in (0..).zip(&grid.batch_sizes) {
                    let corner = (MARGIN + LEFT + (width + GAP) * j, top + NAME + row * i);
                    let outer = [j == 0, i as usize + 1 == grid.lrs.len()];
                    let title = format!("lr {}, batch {batch_size}", short(*lr));
                    let lines = [(title, words()), (grid.remark(*lr, *batch_size), caption())];
                    for ((line, style), y) in lines.iter().zip([0, 200]) {
                        area.draw_text(line, &fitted(area, line, style, width)?, (corner.0, corner.1 + y))?;
                    }
                    let frame = (corner.0, corner.1 + above);
                    grid.draw_panel(area, frame, (width, height), outer, (*lr, *batch_size))?;
                }
            }
            top += tall(grid);
        }
        Ok(())
    })?;
    picture::png(&picture)
}

/// Draws test accuracies after the last epoch, a map for each recipe and variant: learning rates from top to bottom, batch sizes from
/// left to right, and in each cell the mean over the seeds that did not diverge, in %.
///
/// # Errors
/// If the drawing fails, for which there is no known cause.
pub fn draw_heatmaps(run: &SweepReport) -> Result<Vec<u8>> {
    let grids = Grid::of_recipes(run);
    let most = |count: fn(&Grid) -> usize| grids.iter().map(count).max().unwrap_or(1) as i32;
    let (maps, columns) = (most(|grid| grid.variants.len()), most(|grid| grid.batch_sizes.len()));
    let width = (((FULL - 2 * MARGIN) / maps - LEFT - GAP) / columns).clamp(560, 1100);
    let cell = (width, 460);
    let map = LEFT + width * columns + GAP;
    let tall = |grid: &Grid| NAME + ABOVE + cell.1 * grid.lrs.len() as i32 + BELOW + GAP;
    let full = (2 * MARGIN + map * maps).max(8000);
    let all = MARGIN + HEADER + grids.iter().map(tall).sum::<i32>();
    let of = if has_seeds(run) { "mean of " } else { "" };
    let picture = picture::render((full / PIXEL) as u32, (all / PIXEL) as u32, |area| {
        draw_title(area, &format!("Test accuracy after the last epoch (%)\n{of}{}", run.setting))?;
        let mut top = MARGIN + HEADER;
        for grid in &grids {
            area.draw_text(grid.recipe, &heading(), (MARGIN, top))?;
            for (i, variant) in (0..).zip(&grid.variants) {
                grid.draw_map(area, (MARGIN + map * i, top + NAME), cell, variant)?;
            }
            top += tall(grid);
        }
        Ok(())
    })?;
    picture::png(&picture)
}

/// Whether there are several seeds.
fn has_seeds(run: &SweepReport) -> bool {
    run.by_seeds().any(|seeds| seeds.len() > 1)
}

/// The cells of a recipe, and the values that they differ in.
struct Grid<'a> {
    recipe: &'a str,
    variants: Vec<&'a str>,
    lrs: Vec<f64>,
    batch_sizes: Vec<usize>,
    points: Vec<Seeds<'a>>,
}

impl<'a> Grid<'a> {
    fn of_recipes(run: &SweepReport<'a>) -> Vec<Self> {
        let points: Vec<Seeds> = run.by_seeds().collect();
        let of_recipe = points.chunk_by(|a, b| a[0].cell.recipe == b[0].cell.recipe);
        let grid = |points: &[Seeds<'a>]| Self {
            recipe: &points[0][0].cell.recipe,
            variants: distinct(points, |cell| &*cell.cell.variant),
            lrs: distinct(points, |cell| cell.cell.lr),
            batch_sizes: distinct(points, |cell| cell.cell.batch_size),
            points: points.to_vec(),
        };
        of_recipe.map(grid).collect()
    }

    fn at(&self, variant: &str, lr: f64, batch_size: usize) -> Option<Seeds<'a>> {
        let mut points = self.points.iter().copied();
        points.find(|seeds| {
            let cell = &seeds[0].cell;
            (&*cell.variant, cell.lr, cell.batch_size) == (variant, lr, batch_size)
        })
    }

    /// How many cells of a learning rate and batch size diverged; empty if none did.
    fn remark(&self, lr: f64, batch_size: usize) -> String {
        let of_variant = |variant: &&str| {
            let diverged = count(self.at(variant, lr, batch_size)?, CellStatus::Diverged);
            (diverged > 0).then(|| format!("{variant} {diverged}"))
        };
        let remarks: Vec<String> = self.variants.iter().filter_map(of_variant).collect();
        if remarks.is_empty() { String::new() } else { format!("diverged: {}", remarks.join(", ")) }
    }

    /// The panel of a learning rate and batch size, whose frame has its upper left corner at `at`. `outer` says whether it is the first
    /// from the left, and the last from above: those name the ticks.
    fn draw_panel(
        &self,
        area: &Area,
        at: (i32, i32),
        (width, height): (i32, i32),
        [left, below]: [bool; 2],
        (lr, batch_size): (f64, usize),
    ) -> Drawn {
        let everything = self.points.iter().flat_map(|seeds| bands(seeds));
        let values = everything.flat_map(|(_, band)| [band.least, band.greatest]);
        let y = Axis::fit(values, 1.0, 0.0..=100.0);
        let last =
            self.points.iter().flat_map(|seeds| *seeds).map(|cell| cell.records.len()).max().unwrap_or(1);
        let x = Axis::counted(last, (width / 240).clamp(4, 12) as usize);
        let (left, below) = (if left { LEFT } else { 0 }, if below { BELOW } else { 0 });
        let area = area.clone().shrink((at.0 - left, at.1), (width + left, height + below));
        let mut chart = ChartBuilder::on(&area)
            .x_label_area_size(below)
            .y_label_area_size(left)
            .build_cartesian_2d(x, y)?;
        let mut mesh = chart.configure_mesh();
        mesh.disable_x_mesh()
            .bold_line_style(GRID.stroke_width(PIXEL as u32))
            .light_line_style(TRANSPARENT)
            .axis_style(FRAME.stroke_width(PIXEL as u32))
            .set_tick_mark_size(LabelAreaPosition::Bottom, 6 * PIXEL)
            .set_tick_mark_size(LabelAreaPosition::Left, 4 * PIXEL)
            .label_style(words())
            .y_label_offset(PIXEL)
            .axis_desc_style(caption());
        if below > 0 {
            mesh.x_desc("epoch");
        }
        if left > 0 {
            mesh.y_desc("test acc (%)");
        }
        mesh.draw()?;
        let plot = chart.plotting_area();
        for (i, variant) in self.variants.iter().enumerate() {
            let Some(seeds) = self.at(variant, lr, batch_size) else { continue };
            let bands = bands(seeds);
            let edge = |value: fn(&OverSeeds) -> f64| {
                bands.iter().map(move |(epoch, band)| (*epoch as f64, value(band)))
            };
            let outline: Vec<_> = edge(|band| band.greatest).chain(edge(|band| band.least).rev()).collect();
            plot.draw(&Polygon::new(outline, PALETTE[i % PALETTE.len()].0.mix(0.2).filled()))?;
            let means = bands.iter().map(|(epoch, band)| (*epoch, band.mean)).collect();
            curve(i, self.variants.len(), variant, means).draw(plot, last as i32 * 300 <= width)?;
        }
        Ok(())
    }

    /// The map of a variant, whose labels and cells begin at the corner `at`.
    fn draw_map(&self, area: &Area, at: (i32, i32), (width, height): (i32, i32), variant: &str) -> Drawn {
        let ends = self.points.iter().filter_map(|seeds| percent_at_the_end(seeds));
        let range = OverSeeds::of(ends);
        let (left, top) = (at.0 + LEFT, at.1 + ABOVE);
        area.draw_text(
            variant,
            &fitted(area, variant, &words(), width * self.batch_sizes.len() as i32)?,
            (left, at.1),
        )?;
        for (i, lr) in (0..).zip(&self.lrs) {
            let label = short(*lr);
            let look = fitted(area, &label, &words(), LEFT - 360)?.pos(Pos::new(HPos::Right, VPos::Center));
            area.draw_text(&label, &look, (left - 90, top + height * i + height / 2))?;
            for (j, batch_size) in (0..).zip(&self.batch_sizes) {
                if let Some(seeds) = self.at(variant, *lr, *batch_size) {
                    draw_cell(area, (left + width * j, top + height * i), (width, height), seeds, range)?;
                }
            }
        }
        let bottom = top + height * self.lrs.len() as i32;
        let centered = |style: TextStyle<'static>| style.pos(Pos::new(HPos::Center, VPos::Top));
        for (j, batch_size) in (0..).zip(&self.batch_sizes) {
            let label = batch_size.to_string();
            let look = centered(fitted(area, &label, &words(), width - 60)?);
            area.draw_text(&label, &look, (left + width * j + width / 2, bottom + 60))?;
        }
        let middle = left + width * self.batch_sizes.len() as i32 / 2;
        area.draw_text("batch size", &centered(caption()), (middle, bottom + 290))?;
        let upwards = caption().transform(FontTransform::Rotate270).pos(Pos::new(HPos::Center, VPos::Top));
        let height = height * self.lrs.len() as i32;
        area.draw_text("lr", &upwards, (at.0 + 40, top + height / 2))
    }
}

/// A cell of a map: the mean, darker where it is greater in the `range` of the recipe; how many seeds diverged; "open" while no
/// seed is done.
fn draw_cell(
    area: &Area,
    (x, y): (i32, i32),
    (width, height): (i32, i32),
    seeds: Seeds,
    range: Option<OverSeeds>,
) -> Drawn {
    let diverged = count(seeds, CellStatus::Diverged);
    let value = percent_at_the_end(seeds);
    let share = value.zip(range).map(|(value, range)| match range.greatest - range.least {
        0.0 => 0.5,
        span => (value - range.least) / span,
    });
    let fill = match share {
        Some(share) => shade(share),
        None if diverged > 0 => GRID,
        None => WHITE,
    };
    let corners = [(x, y), (x + width, y + height)];
    area.draw(&Rectangle::new(corners, fill.filled()))?;
    area.draw(&Rectangle::new(corners, WHITE.stroke_width(PIXEL as u32)))?;
    let ink = if share.is_some_and(|share| share > 0.5) { WHITE } else { INK };
    let write = |line: &str, size: f64, lower: i32| {
        let style = text(size, FontStyle::Normal, ink);
        let look = fitted(area, line, &style, width - 60)?.pos(Pos::new(HPos::Center, VPos::Center));
        area.draw_text(line, &look, (x + width / 2, y + height / 2 + lower))
    };
    match value {
        Some(value) if diverged > 0 => {
            write(&format!("{value:.1}"), 160.0, -80)?;
            write(&format!("{diverged} of {} div.", seeds.len()), 120.0, 110)
        }
        Some(value) => write(&format!("{value:.1}"), 160.0, 0),
        None if diverged > 0 => write("diverged", 140.0, 0),
        None => write("open", 140.0, 0),
    }
}

fn percent_at_the_end(seeds: Seeds) -> Option<f64> {
    at_the_end(seeds, |record| 100.0 * record.test_acc).map(|over| over.mean)
}

/// From light to dark blue: shares from 0 to 1.
fn shade(share: f64) -> RGBColor {
    const STOPS: [[f64; 3]; 3] = [[232.0, 241.0, 250.0], [86.0, 155.0, 209.0], [8.0, 48.0, 107.0]];
    let i = if share < 0.5 { 0 } else { 1 };
    let part = 2.0 * share - i as f64;
    let [r, g, b] = [0, 1, 2].map(|c| (STOPS[i][c] + part * (STOPS[i + 1][c] - STOPS[i][c])).round() as u8);
    RGBColor(r, g, b)
}

/// Epoch by epoch, the test accuracies in % of the seeds that did not diverge.
fn bands(seeds: Seeds) -> Vec<(usize, OverSeeds)> {
    let sound = || seeds.iter().filter(|seed| seed.cell.status != CellStatus::Diverged);
    let last = sound().map(|seed| seed.records.len()).max().unwrap_or(0);
    let at = |epoch: usize| {
        let records = sound().filter_map(|seed| seed.records.get(epoch - 1));
        OverSeeds::of(records.map(|record| 100.0 * record.test_acc)).map(|band| (epoch, band))
    };
    (1..=last).filter_map(at).collect()
}

/// The curve of the variant with this number, of so many. Earlier ones are broader, so that they show where later ones coincide.
fn curve(i: usize, variants: usize, name: &str, points: Vec<(usize, f64)>) -> Series {
    let (color, shape) = PALETTE[i % PALETTE.len()];
    let more = variants.saturating_sub(i + 1) as i32;
    let stroke = Stroke { width: 16 + 12 * more as u32, color, dashed: false };
    Series { name: name.to_owned(), stroke, shape, radius: 30 + 10 * more, points }
}

/// The values of the points' cells, in the order in which they come, each once.
fn distinct<'a, T: PartialEq>(points: &[Seeds<'a>], value: impl Fn(&'a SweepCell) -> T) -> Vec<T> {
    let mut values = Vec::new();
    for seeds in points {
        let value = value(&seeds[0]);
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sweep::tests::{grid, report};

    type Draw = fn(&SweepReport) -> Result<Vec<u8>>;

    #[test]
    fn what_a_sweep_found_is_in_its_pictures() {
        let draws: [Draw; 2] = [draw_sweep_curves, draw_heatmaps];
        for draw in draws {
            let cells = grid(&["none", "scratch"], &[0.1, 1.0], &[64, 256]);
            let picture = |cells: &[SweepCell]| draw(&report(cells)).unwrap();
            let first = picture(&cells);
            assert!(first == picture(&cells));
            let mut better = cells.clone();
            better[4].records[1].test_acc += 0.05;
            assert!(first != picture(&better), "another accuracy");
            let mut diverged = cells.clone();
            diverged[4].cell.status = CellStatus::Diverged;
            assert!(first != picture(&diverged), "another cell that diverged");
            for cells in [&cells[..1], &[]] {
                assert!(!picture(cells).is_empty());
            }
        }
    }

    #[test]
    fn shades_go_from_light_to_dark() {
        let brightness = |share| {
            let RGBColor(r, g, b) = shade(share);
            u32::from(r) + u32::from(g) + u32::from(b)
        };
        let all: Vec<u32> = (0..=20).map(|i| brightness(f64::from(i) / 20.0)).collect();
        assert!(all.windows(2).all(|pair| pair[0] > pair[1]), "{all:?}");
    }
}
