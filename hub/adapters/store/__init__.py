"""The store by SQLAlchemy Core: SQLite (aiosqlite) or PostgreSQL (asyncpg)."""
