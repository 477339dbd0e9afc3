-- Run by PostgreSQL's container when its database is new. Optuna and MLflow cannot share a database: both have a table
-- alembic_version.
\getenv mlflow_password MLFLOW_DATABASE_PASSWORD
\getenv optuna_password OPTUNA_DATABASE_PASSWORD
create role mlflow login password :'mlflow_password';
create role optuna login password :'optuna_password';
create database mlflow owner mlflow;
create database optuna owner optuna;
