"""Creates the user with which trainers and workers write to MLflow, or sets its password if it exists.

It logs in as the admin, with MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD. Running it again is harmless.
"""

import os
import sys

from mlflow.exceptions import MlflowException
from mlflow.server import get_app_client

USER = "trainer"


def main() -> None:
    """Create the user, or print why that was not possible."""
    users = get_app_client("basic-auth", tracking_uri=os.environ["MLFLOW_TRACKING_URI"])
    password = os.environ["MLFLOW_TRAINER_PASSWORD"]
    try:
        try:
            users.create_user(USER, password)
            print(f"created the user {USER}")
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            users.update_user_password(USER, password)
            print(f"the user {USER} exists; its password is now MLFLOW_TRAINER_PASSWORD")
    except MlflowException as error:
        sys.exit(f"error: the server did not accept the user {USER} with MLFLOW_TRAINER_PASSWORD: {error.message}")


if __name__ == "__main__":
    main()
