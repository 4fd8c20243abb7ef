"""Properties: what must hold for every tariff, every stream and every cut of it."""
