//! Decision diagrams: conditions over the exits that nodes leave by, in a form where equal conditions are one thing.
//!
//! A variable is the choice of one node; a later node stands above an earlier one, so that a chain stays a chain.

use std::collections::{BTreeSet, HashMap};

/// A condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Cond(u32);

impl Cond {
    /// Never.
    pub(super) const FALSE: Self = Self(0);
    /// Always.
    pub(super) const TRUE: Self = Self(1);
}

/// More than this is not analysed: the conditions then count as unknown.
const LIMIT: usize = 200_000;

/// Every condition of one body.
pub(super) struct Diagrams {
    choices: Vec<Choice>,
    known: HashMap<Choice, Cond>,
    memo: HashMap<(bool, Cond, Cond), Cond>,
    negated: HashMap<Cond, Cond>,
}

/// What follows from each value of a variable.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Choice {
    variable: u32,
    then: Box<[Cond]>,
}

/// There are too many conditions to go on.
#[derive(Debug)]
pub(super) struct TooMany;

impl Diagrams {
    pub(super) fn new() -> Self {
        let leaf = Choice { variable: u32::MAX, then: Box::default() };
        Self { choices: vec![leaf.clone(), leaf], known: HashMap::new(), memo: HashMap::new(), negated: HashMap::new() }
    }

    /// The condition that a variable has one of the values for which `holds` is true.
    pub(super) fn literal(&mut self, variable: u32, holds: impl Iterator<Item = bool>) -> Result<Cond, TooMany> {
        self.choice(variable, holds.map(|holds| if holds { Cond::TRUE } else { Cond::FALSE }).collect())
    }

    pub(super) fn and(&mut self, a: Cond, b: Cond) -> Result<Cond, TooMany> {
        self.combine(true, a, b)
    }

    pub(super) fn or(&mut self, a: Cond, b: Cond) -> Result<Cond, TooMany> {
        self.combine(false, a, b)
    }

    pub(super) fn not(&mut self, a: Cond) -> Result<Cond, TooMany> {
        match a {
            Cond::FALSE => return Ok(Cond::TRUE),
            Cond::TRUE => return Ok(Cond::FALSE),
            _ => {}
        }
        if let Some(known) = self.negated.get(&a) {
            return Ok(*known);
        }
        let Choice { variable, then } = self.choices[a.0 as usize].clone();
        let then = then.iter().map(|then| self.not(*then)).collect::<Result<_, _>>()?;
        let negated = self.choice(variable, then)?;
        self.negated.insert(a, negated);
        Ok(negated)
    }

    /// The values of a variable for which the condition can hold; `None` when the variable does not matter.
    pub(super) fn values(&self, cond: Cond, variable: u32) -> Option<BTreeSet<usize>> {
        let mut values = BTreeSet::new();
        let mut open = vec![cond];
        let mut seen = BTreeSet::new();
        while let Some(cond) = open.pop() {
            if cond == Cond::FALSE || !seen.insert(cond) {
                continue;
            }
            let choice = &self.choices[cond.0 as usize];
            if cond == Cond::TRUE || choice.variable < variable {
                return None;
            }
            if choice.variable == variable {
                values.extend(choice.then.iter().enumerate().filter(|(_, then)| **then != Cond::FALSE).map(|(i, _)| i));
            } else {
                open.extend(choice.then.iter());
            }
        }
        Some(values)
    }

    /// The variables that the condition depends on, the latest first.
    pub(super) fn variables(&self, cond: Cond) -> Vec<u32> {
        let mut variables = BTreeSet::new();
        let mut open = vec![cond];
        let mut seen = BTreeSet::new();
        while let Some(cond) = open.pop() {
            if cond > Cond::TRUE && seen.insert(cond) {
                let choice = &self.choices[cond.0 as usize];
                variables.insert(choice.variable);
                open.extend(choice.then.iter());
            }
        }
        variables.into_iter().rev().collect()
    }

    fn choice(&mut self, variable: u32, then: Box<[Cond]>) -> Result<Cond, TooMany> {
        if then.windows(2).all(|pair| pair[0] == pair[1]) {
            return Ok(then.first().copied().unwrap_or(Cond::TRUE));
        }
        let choice = Choice { variable, then };
        if let Some(known) = self.known.get(&choice) {
            return Ok(*known);
        }
        if self.choices.len() >= LIMIT {
            return Err(TooMany);
        }
        let cond = Cond(self.choices.len() as u32);
        self.choices.push(choice.clone());
        self.known.insert(choice, cond);
        Ok(cond)
    }

    fn combine(&mut self, and: bool, a: Cond, b: Cond) -> Result<Cond, TooMany> {
        let (neutral, absorbing) = if and { (Cond::TRUE, Cond::FALSE) } else { (Cond::FALSE, Cond::TRUE) };
        let (a, b) = (a.min(b), a.max(b));
        if a == b || b == neutral || a == absorbing {
            return Ok(a);
        }
        if a == neutral || b == absorbing {
            return Ok(b);
        }
        if let Some(known) = self.memo.get(&(and, a, b)) {
            return Ok(*known);
        }
        let (left, right) = (self.choices[a.0 as usize].clone(), self.choices[b.0 as usize].clone());
        let variable = left.variable.max(right.variable);
        let width = if left.variable == variable { left.then.len() } else { right.then.len() };
        let branch =
            |choice: &Choice, whole: Cond, i: usize| if choice.variable == variable { choice.then[i] } else { whole };
        let then = (0..width)
            .map(|i| self.combine(and, branch(&left, a, i), branch(&right, b, i)))
            .collect::<Result<_, _>>()?;
        let combined = self.choice(variable, then)?;
        self.memo.insert((and, a, b), combined);
        Ok(combined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_of_every_branch_is_certain_and_two_branches_exclude_each_other() {
        let mut all = Diagrams::new();
        let first = all.literal(0, [true, false].into_iter()).unwrap();
        let other = all.literal(0, [false, true].into_iter()).unwrap();
        let late = all.literal(1, [true, false, false].into_iter()).unwrap();
        assert_eq!(all.or(first, other).unwrap(), Cond::TRUE);
        assert_eq!(all.and(first, other).unwrap(), Cond::FALSE);
        assert_eq!(all.not(first).unwrap(), other);

        let both = all.and(first, late).unwrap();
        assert_eq!(all.variables(both), [1, 0]);
        assert_eq!(all.values(both, 0), Some([0].into()));
        assert_eq!(all.values(late, 0), None);
        let neither = all.not(both).unwrap();
        assert_eq!(all.or(both, neither).unwrap(), Cond::TRUE);
    }
}
