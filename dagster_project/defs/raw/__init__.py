"""Tables that others fill: what arrived, and the sensor that notices."""
