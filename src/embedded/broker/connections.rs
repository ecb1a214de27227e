//! All connections, and which of them the driver must look at after a turn.

use std::collections::HashMap;

use super::connection::{Connection, ConnectionId, Phase};

#[derive(Debug, Default)]
pub(super) struct Connections {
    map: HashMap<ConnectionId, Connection>,
    touched: Vec<ConnectionId>,
    now_ms: u64,
    answer_delay_ms: u64,
}

impl Connections {
    /// To be called at the beginning of each turn.
    pub fn set_clock(&mut self, now_ms: u64, answer_delay_ms: u64) {
        self.now_ms = now_ms;
        self.answer_delay_ms = answer_delay_ms;
    }

    pub fn len(&self) -> usize {
        self.map.len()
    }

    pub fn insert(&mut self, id: ConnectionId) {
        let connection = Connection::new(self.now_ms, self.answer_delay_ms);
        self.map.insert(id, connection);
    }

    pub fn remove(&mut self, id: ConnectionId) {
        self.map.remove(&id);
    }

    pub fn ids(&self) -> Vec<ConnectionId> {
        let mut ids: Vec<ConnectionId> = self.map.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    pub fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.map.get(&id)
    }

    /// For whoever may write to it: the driver will look at it.
    pub fn touch(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let connection = self.map.get_mut(&id)?;
        if !connection.announced {
            connection.announced = true;
            self.touched.push(id);
        }
        connection.set_clock(self.now_ms, self.answer_delay_ms);
        Some(connection)
    }

    /// For the driver itself, which need not be told.
    pub fn quiet(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.map.get_mut(&id)
    }

    pub fn can_take_messages(&self, id: ConnectionId) -> bool {
        self.map.get(&id).is_some_and(Connection::can_take_messages)
    }

    pub fn phase(&self, id: ConnectionId) -> Option<Phase> {
        self.map.get(&id).map(|connection| connection.phase)
    }

    pub fn touched(&self) -> &[ConnectionId] {
        &self.touched
    }

    pub fn take_touched(&mut self) -> Vec<ConnectionId> {
        let touched = std::mem::take(&mut self.touched);
        for id in &touched {
            if let Some(connection) = self.map.get_mut(id) {
                connection.announced = false;
            }
        }
        touched
    }
}
