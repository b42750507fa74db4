"""The virtual vehicle's side: a receiver, an adapter and a vehicle from a recording, with faults to plant."""
