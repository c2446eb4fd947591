"""SQL, the one truth: schema, unit of work, repositories, checkpoint saver, migrations."""
