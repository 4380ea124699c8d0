"""How people are told: a queue on disk, a courier for each receiver, and beats for push monitors."""
