"""Our own API: photos at once (`/v1/photos`) or in the background (`/v1/jobs`), with what was found."""
