"""Makes the user by which trainers and workers write to MLflow; one that exists gets the password that is given.

It asks the server as the admin, by MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD. Running it again is harmless.
"""

import os
import sys

from mlflow.exceptions import MlflowException
from mlflow.server import get_app_client

USER = "trainer"


def main() -> None:
    """Makes the user, or says why that was not possible."""
    users = get_app_client("basic-auth", tracking_uri=os.environ["MLFLOW_TRACKING_URI"])
    password = os.environ["MLFLOW_TRAINER_PASSWORD"]
    try:
        try:
            users.create_user(USER, password)
            print(f"the user {USER} was made")
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            users.update_user_password(USER, password)
            print(f"the user {USER} has the password MLFLOW_TRAINER_PASSWORD")
    except MlflowException as error:
        sys.exit(f"error: the server did not take the user {USER} and MLFLOW_TRAINER_PASSWORD: {error.message}")


if __name__ == "__main__":
    main()
