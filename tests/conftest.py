"""What the tests share: where the project is, its full data sets where they exist, a store of a test's own."""
