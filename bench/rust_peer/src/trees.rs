//! XGBoost's JSON model of a binary classifier, and its prediction for one row.

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Tree {
    left_children: Vec<i32>,
    right_children: Vec<i32>,
    split_indices: Vec<u32>,
    split_conditions: Vec<f32>,
    default_left: Vec<u8>,
}

/// A node, small enough that four share a cache line.
struct Node {
    /// Feature to compare; of a leaf, `LEAF`.
    feature: u32,
    /// Threshold, or the value of a leaf.
    value: f32,
    left: u32,
    right: u32,
}

const LEAF: u32 = u32::MAX;
const MISSING_GOES_LEFT: u32 = 1 << 31;

pub struct Forest {
    nodes: Vec<Node>,
    roots: Vec<u32>,
    margin: f32,
    pub features: usize,
}

impl Forest {
    /// Read a model file; panics when it is none.
    pub fn read(path: &str) -> Forest {
        let text = std::fs::read(path).expect("the model file cannot be read");
        let document: Value = serde_json::from_slice(&text).expect("the model file is not JSON");
        let learner = &document["learner"];
        let parameters = &learner["learner_model_param"];
        let base = parameters["base_score"].as_str().expect("no base score");
        let base: f32 = base.trim_matches(['[', ']']).parse().expect("a base score that is no number");
        let features = parameters["num_feature"].as_str().and_then(|text| text.parse().ok());
        let mut forest = Forest {
            nodes: Vec::new(),
            roots: Vec::new(),
            margin: (base / (1.0 - base)).ln(),
            features: features.expect("no number of features"),
        };
        for tree in learner["gradient_booster"]["model"]["trees"].as_array().expect("no trees") {
            forest.add(Tree::deserialize(tree).expect("not a tree"));
        }
        forest
    }

    fn add(&mut self, tree: Tree) {
        let root = self.nodes.len() as u32;
        self.roots.push(root);
        for place in 0..tree.left_children.len() {
            let leaf = tree.left_children[place] < 0;
            let side = if tree.default_left[place] != 0 { MISSING_GOES_LEFT } else { 0 };
            self.nodes.push(Node {
                feature: if leaf { LEAF } else { tree.split_indices[place] | side },
                value: tree.split_conditions[place],
                left: root + tree.left_children[place].max(0) as u32,
                right: root + tree.right_children[place].max(0) as u32,
            });
        }
    }

    /// Probability of the second class.
    pub fn predict(&self, row: &[f32]) -> f32 {
        let mut sum = 0.0f32;
        for &root in &self.roots {
            let mut node = &self.nodes[root as usize];
            while node.feature != LEAF {
                let value = row[(node.feature & !MISSING_GOES_LEFT) as usize];
                let left = if value.is_nan() { node.feature & MISSING_GOES_LEFT != 0 } else { value < node.value };
                node = &self.nodes[if left { node.left } else { node.right } as usize];
            }
            sum += node.value;
        }
        1.0 / (1.0 + (-(sum + self.margin)).exp())
    }
}
